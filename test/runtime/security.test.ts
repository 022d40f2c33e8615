import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { ConfigSpec, Fields } from '../../nodes/shared/config'
import { auth, token } from './admin'
import { type Json, nodeTypes, Runtime, root } from './harness'

describe('all admin routes', () => {
  let runtime: Runtime
  before(async () => {
    runtime = await Runtime.boot({ settings: auth() })
  })
  after(() => runtime.remove())

  it('are closed to strangers and to those without the permission, and readers may not act', async () => {
    const routes = await runtime.ask<string[]>('routes')
    assert.ok(routes.some((route) => route.startsWith('GET')) && routes.some((route) => route.startsWith('POST')))
    for (const route of routes) {
      const [method, path] = route.split(' ') as [string, string]
      const status = async (user: string | null) => {
        const headers: Record<string, string> = user ? { authorization: `Bearer ${await token(runtime, user)}` } : {}
        const url = runtime.base + path.replaceAll(/:\w+/g, 'unknown')
        return (await fetch(url, { method, headers })).status
      }
      assert.deepEqual([await status(null), await status('nobody')], [401, 401], route)
      if (method !== 'GET') assert.equal(await status('reader'), 401, route)
    }
  })
})

describe('a secret', () => {
  const CANARY = 'canary-7c2f1e'
  /** How a node comes to use its credentials, by its type; `port` is that of a server that refuses all. */
  const settings: Record<string, (port: number) => Json[]> = {
    'millrace-action-http': (port) =>
      ['bearer', 'basic', 'api-key'].map((auth) => ({
        ...{
          url: `http://127.0.0.1:${port}/`,
          auth,
          signatureHeader: 'X-Signature',
          retries: 0,
          privateAddresses: true,
        },
      })),
    'millrace-action-redis': (port) => [{ hosts: `127.0.0.1:${port}`, retries: 0, timeoutMs: 1000 }],
    'millrace-action-kafka': (port) =>
      ['PLAIN', 'SCRAM-SHA-256', 'OAUTHBEARER'].map((sasl) => ({
        ...{ brokers: `127.0.0.1:${port}`, sasl, retries: 0, timeoutMs: 1000 },
      })),
    'millrace-arrow-zerobus-table': (port) =>
      [false, true].map((spool) => ({
        ...{ endpoint: `http://127.0.0.1:${port}`, unityCatalogUrl: `http://127.0.0.1:${port}`, table: 'a.b.c' },
        ...{ spool, spoolMb: spool ? 0.5 : 64, attempts: 2, copiesArrow: true, copiesProtobuf: true },
      })),
    'millrace-memory-embedder': (port) => [{ url: `http://127.0.0.1:${port}/v1`, model: 'any', retries: 0 }],
    'millrace-tasks-broker': (port) => [
      { kind: 'servers', natsUrl: `nats://127.0.0.1:${port}`, redisUrl: `redis://127.0.0.1:${port}`, offline: 'fail' },
    ],
  }
  /** Who makes a config node use them. */
  const users: Record<string, (config: string) => Json> = {
    'millrace-arrow-zerobus-table': (table) => ({ type: 'millrace-arrow-zerobus', table }),
    'millrace-memory-embedder': (embedder) => ({
      ...{ type: 'millrace-memory-ingest', store: 'store', embedder },
      ...{ source: 'a', sourceType: 'str', text: 'words', textType: 'str' },
    }),
    'millrace-tasks-broker': (broker) => ({ type: 'millrace-tasks-send', task: 'any', broker }),
  }

  it('is in nothing that can be seen', async function () {
    this.timeout(120_000)
    const server = createServer((_request, response) => response.writeHead(401).end('no')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const nodes = nodeTypes.flatMap(([type, file]) => {
      const credentials = credentialsOf(type, file)
      if (!credentials) return []
      const made = settings[type]?.(port)
      assert.ok(made, `say how ${type} comes to use its credentials`)
      const secrets = Object.fromEntries(Object.keys(credentials).map((name) => [name, CANARY]))
      return made.map((setting, place) => ({ id: `${type}-${place}`, type, ...setting, credentials: secrets }))
    })
    assert.ok(nodes.length > 3)
    const ofConfigs = nodes.flatMap(({ id, type }) => (users[type] ? [{ id: `${id}-user`, ...users[type](id) }] : []))
    const acting = [...nodes.filter(({ type }) => !users[type]), ...ofConfigs]
    const place = { z: 'tab', x: 0, y: 0 }
    const runtime = await Runtime.boot({ settings: 'logging: { console: { level: "trace" } },' })
    try {
      const say = {
        ...place,
        id: 'say',
        type: 'function',
        func: 'node.warn(JSON.stringify(msg)); return msg',
        wires: [[]],
      }
      await runtime.deploy([
        { id: 'tab', type: 'tab', label: 'secrets' },
        {
          ...place,
          id: 'go',
          type: 'inject',
          once: true,
          onceDelay: '0',
          props: [],
          wires: [acting.map(({ id }) => id)],
        },
        ...nodes.filter(({ type }) => users[type]),
        { id: 'store', type: 'millrace-memory-store' },
        ...acting.map((node) => ({ ...place, ...node, accept: 'any', wires: [['say'], ['say']] })),
        { ...place, id: 'catch', type: 'catch', wires: [['say']] },
        say,
      ])
      const ended = (id: string) =>
        runtime.failed.some(({ node }) => node === id) ||
        runtime.sent.some(({ node, port: output }) => node === id && output === 1)
      await runtime.until('all have failed', () => acting.every(({ id }) => ended(id)), 30_000)
      const answers: string[] = []
      for (const route of await runtime.ask<string[]>('routes')) {
        const [method, path] = route.split(' ') as [string, string]
        for (const { id } of nodes.filter(({ type }) => path.startsWith(`/${type}/`))) {
          answers.push(await (await fetch(runtime.base + path.replace(':id', id), { method })).text())
        }
      }
      assert.ok(answers.length >= nodes.length)
      for (const path of ['/flows', '/flow/tab', '/nodes', '/settings'])
        answers.push(await (await runtime.get(path)).text())
      for (const { id, type } of nodes) {
        const credentials = (await (await runtime.get(`/credentials/${type}/${id}`)).json()) as Json
        // Node-RED itself gives the editor what is no password.
        const secret = Object.entries(credentialsOf(type, nodeTypes.find(([name]) => name === type)?.[1] ?? '') ?? {})
        for (const [name, { type: kind }] of secret) if (kind === 'password') assert.equal(credentials[name], undefined)
      }
      const seen = { answers, log: runtime.log, sent: runtime.sent, failed: runtime.failed, statuses: runtime.statuses }
      for (const [where, what] of Object.entries(seen)) {
        const text = JSON.stringify(what)
        const at = text.indexOf(CANARY)
        assert.equal(at, -1, `${where}: ${text.slice(Math.max(0, at - 200), at + 100)}`)
      }
      const written = filesOf(runtime.userDir).filter((file) => readFileSync(file).includes(CANARY))
      assert.deepEqual(
        written.map((file) => file.slice(runtime.userDir.length + 1)),
        ['flows_cred.json'],
      )
    } finally {
      await runtime.remove()
      server.closeAllConnections()
      server.close()
    }
  })

  function credentialsOf(type: string, file: string): ConfigSpec<Fields>['credentials'] {
    const module = require(join(root, file.replace(/^dist\//, 'nodes/').replace(/\.js$/, '.config.ts')))
    return (Object.values(module) as ConfigSpec<Fields>[]).find((config) => config?.type === type)?.credentials
  }
})

/** All files of a user directory but those of packages. */
function filesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name !== 'node_modules')
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesOf(path) : [path]))
}
