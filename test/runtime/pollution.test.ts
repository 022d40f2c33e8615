/** JSON that wants to change what every object inherits, through everything that takes JSON. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { action, arrow, memory, ros2, sync, tasks } from '../../nodes'
import type { ConfigSpec, Field, Fields } from '../../nodes/shared/config'
import { errorCodes } from '../../nodes/shared/errors'
import { examples, type Json, nodeTypes, Runtime, readJson, root } from './harness'

/** A copy with the poison in every object of it, as JSON.parse makes it: properties of their own. */
function poisoned<T>(value: T): T {
  if (Array.isArray(value)) return value.map(poisoned) as T
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  const copy: Json = {}
  const own = { ...value, ['__proto__']: { polluted: true }, constructor: { prototype: { polluted: true } } }
  for (const name of Object.getOwnPropertyNames(own)) {
    const part = own[name as keyof typeof own]
    const deeper = name === '__proto__' || name === 'constructor' ? part : poisoned(part)
    Object.defineProperty(copy, name, { value: deeper, enumerable: true, writable: true, configurable: true })
  }
  return copy as T
}

const text = (value: unknown) => JSON.stringify(poisoned(value))

/** Nothing inherits the poison, and nothing of `result` has it as its prototype. */
function assertClean(what: string, result?: unknown): void {
  for (const one of [{}, [], () => {}] as Json[]) assert.equal(one.polluted, undefined, what)
  const seen = new Set<unknown>()
  const visit = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) return
    seen.add(value)
    const inherits = 'polluted' in value && !Object.hasOwn(value, 'polluted')
    assert.equal(inherits, false, `${what}: ${path} inherits what it was given`)
    for (const name of Object.getOwnPropertyNames(value)) {
      const { value: part } = Object.getOwnPropertyDescriptor(value, name) ?? {}
      visit(part, `${path}.${name}`)
    }
  }
  visit(result, 'result')
}

/** What comes of it: a result, or a failure with a code. */
async function outcome(what: string, run: () => unknown): Promise<unknown> {
  try {
    return await run()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    assert.ok(errorCodes.includes(code as never) && code !== 'INTERNAL', `${what}: ${code} ${message}`)
    return undefined
  }
}

const configs = nodeTypes.map(([type, file]) => {
  const module = require(join(root, file.replace(/^dist\//, 'nodes/').replace(/\.js$/, '.config.ts')))
  return (Object.values(module) as ConfigSpec<Fields>[]).find((config) => config?.type === type) as ConfigSpec<Fields>
})

const flows = examples.flatMap((example) => readJson(join(root, `examples/${example}.json`)) as unknown as Json[])

/** JSON that a property of a node may have: as the examples have it, and nothing but the poison. */
function valuesOf(type: string, name: string): unknown[] {
  const saved = flows.filter((node) => node.type === type && node[name] !== undefined).map((node) => node[name])
  return [{}, [{}], ...saved]
}

/** The same, with the poison in it; JSON as text stays text. */
function spoilt(saved: unknown): unknown {
  if (typeof saved !== 'string') return poisoned(saved)
  try {
    return text(JSON.parse(saved))
  } catch {
    return saved
  }
}

describe('a prototype that came as JSON', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pollution-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  describe('in a saved property', () => {
    for (const { type, fields } of configs) {
      it(type, () => {
        for (const [name, field] of Object.entries(fields) as [string, Field<unknown>][]) {
          for (const value of valuesOf(type, name)) {
            for (const saved of [poisoned(value), spoilt(value), text(value)]) {
              let read: unknown
              try {
                read = field.read(saved)
              } catch {
                // It was refused.
              }
              assertClean(`${type} ${name}`, read)
            }
          }
        }
      })
    }
  })

  describe('in a call of the library', () => {
    let db: memory.Database
    let app: tasks.App
    before(async () => {
      db = await memory.Database.open({ path: join(folder, 'memory') })
      await db.put('n', 'a', { rpm: 1 })
      app = await tasks.connect({ path: join(folder, 'tasks') })
      app.task('echo', (...given) => given.at(-1).kwargs)
      await app.worker({ queues: ['work'] }).start()
    })
    after(async () => {
      await app.close()
      await db.close()
    })

    const cases: [title: string, run: () => unknown][] = [
      ['sync: options', () => new sync.Synchronizer(['a'], poisoned({ windowMs: 5 })).options],
      ['sync: periods', () => new sync.Synchronizer(['a'], { minPeriodMs: poisoned({ a: 5 }) }).options],
      ['sync: live options', () => new sync.Synchronizer(['a']).setOptions(poisoned({ windowMs: 5 }))],
      [
        'sync: messages',
        () => {
          const pairs = new sync.Synchronizer(['a'])
          pairs.push('a', 1n, poisoned({ x: 1 }))
          pairs.flush()
          return [...pairs].map((group) => group.get('a'))
        },
      ],
      ['memory: a document', () => db.put('n', 'b', poisoned({ x: { y: [{}] } })).then(() => db.get('n', 'b'))],
      ['memory: options', () => db.put('n', 'c', 1, poisoned({ ttlMs: 1000 }) as never)],
      ['memory: a batch', () => db.putBatch(poisoned([{ namespace: 'n', key: 'd', value: { x: 1 } }]))],
      ['memory: history', () => db.history('n', 'b', poisoned({ limit: 1 }))],
      ['memory: differences', () => db.put('n', 'b', poisoned({ x: 2 })).then(() => db.diff('n', 'b', 0))],
      ['memory: a query', () => db.query('n', poisoned({ filter: { rpm: { gt: 0 } }, sort: [{ path: 'rpm' }] }))],
      ['memory: what a query selects', () => db.query('n', { select: ['__proto__', 'constructor.prototype'] })],
      [
        'memory: groups',
        () => db.query('n', { groupBy: ['__proto__'], aggregate: poisoned({ n: { count: '*' } }) as never }),
      ],
      ['memory: a path of an index', () => db.createIndex('n', '__proto__.polluted')],
      [
        'memory: a view',
        () => db.createView('__proto__', 'n', poisoned({ filter: { rpm: 1 } })).then(() => db.views()),
      ],
      ['memory: how much is kept', () => db.retain('n', poisoned({ versions: 3 }))],
      ['memory: names', () => db.put('__proto__', '__proto__', 1).then(() => db.getMany('__proto__', ['__proto__']))],
      [
        'memory: metadata',
        async () => {
          await db.embed('n', 'a', 'a pump', poisoned({ site: 'A' }))
          return db.search('n', 'a pump', poisoned({ filter: { site: 'A' } }))
        },
      ],
      [
        'memory: an import',
        async () => {
          const file = join(folder, 'export.ndjson')
          await db.export(file)
          const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
          writeFileSync(file, `${lines.map((line) => text(JSON.parse(line))).join('\n')}\n`)
          const other = await memory.Database.open({ path: join(folder, 'other') })
          try {
            await outcome('import', () => other.import(file))
            const { namespaces } = await other.namespaces()
            return await Promise.all(namespaces.map(({ name }) => other.query(name)))
          } finally {
            await other.close()
          }
        },
      ],
      [
        'memory: an agent',
        async () => {
          const agent = new memory.AgentMemory(db, 'agent')
          await agent.remember('the pump leaks', poisoned({ tags: ['a'], metadata: { x: 1 } }) as never)
          return agent.recall('the pump', poisoned({ limit: 1 }) as never)
        },
      ],
      [
        'memory: documents',
        async () => {
          const rag = new memory.Rag(db)
          await rag.ingest(poisoned({ source: 'a.md', text: 'The pump.', metadata: { site: 'A' } }))
          return rag.retrieve('pump', poisoned({ topK: 1 }))
        },
      ],
      [
        'tasks: arguments, options and a result',
        async () => {
          const options = poisoned({ kwargs: { x: 1 }, headers: { y: 2 }, retry: { delayMs: 1 }, queue: 'work' })
          const result = await app.send('echo', [poisoned({ z: 3 })], options as never)
          return [await result.get(), await app.control.inspect(result.id)]
        },
      ],
      [
        'tasks: a workflow',
        () => app.sendWorkflow(poisoned({ chain: [{ task: 'a', args: [{}], options: { queue: 'q' } }] })),
      ],
      [
        'tasks: a schedule',
        () => app.control.schedule('s', poisoned({ everyMs: 60_000 }) as never, poisoned({ name: 'a' })),
      ],
      ['tasks: schedules', () => app.control.schedules()],
      ['tasks: a rate', () => app.control.rateLimit('task', '__proto__', poisoned({ max: 1, perMs: 1000 }) as never)],
      ['tasks: a filter', () => app.control.list(poisoned({ queue: 'q' }) as never)],
      ['arrow: a schema', () => arrow.Schema.of(poisoned([{ name: 'a', type: 'int32' }])).columns],
      [
        'arrow: columns of a catalogue',
        () => arrow.Schema.ofUnityCatalog(poisoned([{ name: 'a', type_text: 'int' }])).columns,
      ],
      [
        'arrow: rows',
        async () => {
          const schema = [
            { name: '__proto__', type: 'struct<polluted: bool>' },
            { name: 'a', type: 'map<utf8, utf8>' },
          ]
          const rows = [poisoned({ a: { b: 'c' } }), poisoned({ a: {} })] as never
          const { batch, rejected } = await arrow.Batch.fromRows(rows, { schema })
          return [rejected, await batch.toRows()]
        },
      ],
      [
        'arrow: rows of any columns',
        async () => (await arrow.Batch.fromRows([poisoned({ a: { b: 1 } })] as never)).batch.toRows(),
      ],
      [
        'arrow: options of a client',
        () =>
          arrow.ZerobusClient.open(poisoned({ endpoint: 'http://127.0.0.1:9', table: 'a.b.c', retry: {} }) as never),
      ],
      ['ros2: definitions', () => new ros2.Definitions(poisoned({ messages: { 'a/msg/B': 'int32 x' } }) as never)],
      [
        'ros2: a message',
        () => {
          const codec = new ros2.Codec(
            'a/msg/B',
            new ros2.Definitions({ messages: { 'a/msg/B': 'string x' } }).resolve('a/msg/B'),
          )
          return codec.decode(codec.encode(poisoned({ x: 'y' }) as never))
        },
      ],
      ['action: rules', () => new action.Watch({ rules: poisoned([{ name: 'g', kind: 'above', limit: 1 }]) as never })],
      [
        'action: sources',
        () => {
          const watch = new action.Watch({ rules: [{ name: 'g', kind: 'above', limit: 1 }] })
          return [watch.measure('__proto__', [2], 1), watch.measure('constructor', [2], 1), watch.state()]
        },
      ],
    ]
    for (const [title, run] of cases) {
      it(title, async () => assertClean(title, await outcome(title, run)))
    }

    it('a document is kept as it was given', async () => {
      const given = poisoned({ x: [{}] })
      await db.put('n', 'kept', given)
      assert.equal(JSON.stringify(await db.get('n', 'kept')), JSON.stringify(given))
    })
  })

  describe('in a running Node-RED', function suite() {
    this.timeout(180_000)
    let runtime: Runtime
    /** Answers whatever is asked with the poison. */
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(text({ data: [{ index: 0, embedding: [1] }], model: 'm', access_token: 't' }))
    })
    before(async () => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      runtime = await Runtime.boot()
    })
    after(async () => {
      await runtime.remove()
      server.closeAllConnections()
      server.close()
    })

    /** What the routes that act are given; a new one has its line. */
    const bodies: { [route: string]: Json } = {
      'millrace-tasks-broker act': { command: 'retryDead', id: 'x', queue: 'q' },
      'millrace-memory-store restore': { namespace: 'n', key: 'k', version: 'v' },
      'millrace-memory-embedder test': {},
      'millrace-arrow-zerobus-table test': {},
      'millrace-action-http test': {},
      'millrace-action-redis test': {},
      'millrace-action-kafka test': {},
      'millrace-action-python test': { script: 'code', code: '', settings: text({}) },
    }

    it('comes by flows, messages, answers of servers and the admin API, and changes nothing', async () => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const addresses: Json = { url, endpoint: url, unityCatalogUrl: url, hosts: '127.0.0.1:9', brokers: '127.0.0.1:9' }
      const ours = new Map(configs.map((config) => [config.type, config]))
      const spoiltFlows = flows.map((node) => {
        const fields = ours.get(`${node.type}`)?.fields
        if (!fields) return node
        const there = Object.keys(addresses).filter((name) => Object.hasOwn(fields, name))
        const list = Object.keys(node).filter((name) => Object.hasOwn(fields, name))
        const changed = list.map((name) => [name, spoilt(node[name])])
        return {
          ...node,
          ...Object.fromEntries(changed),
          ...Object.fromEntries(there.map((name) => [name, addresses[name]])),
        }
      })
      const reached = new Set(flows.flatMap(({ wires }) => ((wires as string[][] | undefined) ?? []).flat()))
      const targets = flows.filter(({ id, type, d }) => !d && reached.has(`${id}`) && ours.has(`${type}`))
      const names = [
        'payload',
        'options',
        'kwargs',
        'sync',
        'rules',
        'metadata',
        'headers',
        'memory',
        'tasks',
        'arrow',
        'key',
      ]
      const valid = { windowMs: 5, value: 1, filter: { a: 1 }, chain: [{ task: 'a' }], sourceNodeId: 's', limit: 1 }
      const message = text(Object.fromEntries([...names.map((name) => [name, valid]), ['topic', 'a']]))
      const func = `for (const action of ['measurement', 'alert', 'status', 'history']) {
  node.send(Array.from({ length: ${targets.length} }, () => ({ ...JSON.parse(${JSON.stringify(message)}), action })))
}
node.status({ text: 'sent' })`
      const base = { z: 'poison', x: 0, y: 0 }
      await runtime.deploy([
        ...spoiltFlows,
        { id: 'poison', type: 'tab', label: 'poison' },
        { ...base, id: 'go', type: 'inject', once: true, onceDelay: '0.2', props: [], wires: [['maker']] },
        { ...base, id: 'maker', type: 'function', func, outputs: targets.length, wires: targets.map(({ id }) => [id]) },
      ])
      await runtime.until('all are sent', () => runtime.statuses.some(({ node }) => node === 'maker'))

      const query = '?__proto__[polluted]=1&constructor[prototype][polluted]=1&prefix[__proto__][polluted]=1'
      for (const route of await runtime.ask<string[]>('routes')) {
        const [method = '', path = ''] = route.split(' ')
        const [, type = '', name = ''] = /^\/([\w-]+)\/:id\/([\w-]+)$/.exec(path) ?? []
        const given = bodies[`${type} ${name}`]
        if (method === 'POST') assert.ok(given, `say what ${route} is given`)
        const ids = flows.filter((node) => node.type === type).map(({ id }) => `${id}`)
        for (const id of [...ids.slice(0, 1), '__proto__']) {
          const body = method === 'POST' ? { body: text(given) } : {}
          const headers = { 'content-type': 'application/json' }
          const response = await fetch(runtime.base + path.replace(':id', id) + query, { method, headers, ...body })
          const answer = (await response.json()) as Json | null
          assert.ok(response.ok || errorCodes.includes(answer?.code as never), `${route}: ${response.status}`)
          assert.notEqual(answer?.code, 'INTERNAL', `${route}: ${answer?.message}`)
        }
        assert.equal(await runtime.ask('polluted'), false, route)
      }
      await runtime.deploy([])
      assert.equal(await runtime.ask('polluted'), false)
      const odd = runtime.failed.filter(({ code }) => code === 'INTERNAL')
      assert.deepEqual(odd, [])
      assert.doesNotMatch(runtime.log, /panicked|nhandledPromiseRejection|Uncaught/)
    })
  })
})
