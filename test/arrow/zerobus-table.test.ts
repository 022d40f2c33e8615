import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { status as grpc } from '@grpc/grpc-js'
import { certificates } from '../action/certificates'
import { endAll, idsOf, start, table } from '../zerobus/rig'
import type { ServerOptions } from '../zerobus/server'
import { statusOf } from '../zerobus/status'
import { temporary } from './rig'
import { type Json, ZerobusRig } from './zerobus-rig'

type Token = { status: number; body: string }

describe('millrace-arrow-zerobus-table', () => {
  let rig: ZerobusRig
  afterEach(async () => {
    await rig.remove()
    await endAll()
  })

  const faultOf = async (setup: { config?: Json; credentials?: Json }, options: ServerOptions = {}, token?: Token) => {
    const server = await start(options)
    if (token) server.oauth.failures.push(token)
    rig = await ZerobusRig.start(server, setup)
    const { status, body } = await rig.test()
    assert.equal(status, 200)
    assert.equal(server.count(table), 0)
    return body.ok ? 'none' : body.fault
  }

  for (const [title, setup, fault] of [
    ['nothing', {}, 'none'],
    ['nothing without columns', { config: { columns: [] } }, 'none'],
    ['nothing without columns of records', { config: { columns: [], delivery: 'protobuf' } }, 'none'],
    ['a wrong secret', { credentials: { clientSecret: 'wrong' } }, 'auth'],
    ['a table that is not there', { config: { table: 'main.default.other' } }, 'missing'],
    ['other columns', { config: { columns: [{ name: 'other', type: 'utf8' }] } }, 'schema'],
    [
      'other columns of records',
      { config: { columns: [{ name: 'other', type: 'utf8' }], delivery: 'protobuf' } },
      'schema',
    ],
    ['an unknown name', { config: { endpoint: 'https://127.millrace.invalid' } }, 'dns'],
    ['an unknown name of the workspace', { config: { unityCatalogUrl: 'https://millrace.invalid' } }, 'dns'],
    ['a port where nothing listens', { config: { endpoint: 'http://127.0.0.1:9' } }, 'refused'],
    ['no endpoint', { config: { endpoint: '' } }, 'configuration'],
    ['a disabled writer', { config: { copiesArrow: true, writerDisabled: true } }, 'disabled'],
  ] as const) {
    it(`its test finds ${title}`, async () => {
      assert.equal(await faultOf(setup as { config?: Json }), fault)
    })
  }

  for (const [title, fault, token] of [
    ['an unknown client', 'auth', { status: 401, body: '{"error":"invalid_client"}' }],
    ['missing grants', 'permission', { status: 401, body: '{"error":"invalid_authorization_details"}' }],
    ['a client that may not come in', 'permission', { status: 403, body: 'Forbidden' }],
    ['a request that is not understood', 'auth', { status: 400, body: '{"error":"invalid_request"}' }],
  ] as const) {
    it(`its test finds what the token endpoint says: ${title}`, async () => {
      assert.equal(await faultOf({}, {}, token), fault)
    })
  }

  for (const delivery of ['flight', 'protobuf', 'json']) {
    for (const [code, fault] of [
      [grpc.UNAUTHENTICATED, 'auth'],
      [grpc.PERMISSION_DENIED, 'permission'],
    ] as const) {
      it(`its test finds what the stream says: ${delivery}, ${grpc[code]}`, async () => {
        const refuse = () => statusOf(code, 'no')
        assert.equal(await faultOf({ config: { delivery } }, { refuse }), fault)
      })
    }
  }

  it('its test finds an endpoint without TLS, and one that does not answer as it should', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 400 no\r\n\r\n').on('error', () => {}))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    try {
      assert.equal(await faultOf({ config: { endpoint: `https://127.0.0.1:${port}` } }), 'tls')
      await rig.remove()
      assert.equal(await faultOf({ config: { endpoint: `http://127.0.0.1:${port}` } }), 'answer')
    } finally {
      other.close()
    }
  })

  it('trusts the authority of its TLS settings, and no other', async function authority() {
    const made = certificates()
    if (!made) {
      console.log('      SKIPPED: there is no openssl')
      return this.skip()
    }
    const { key, cert } = { key: Buffer.from(made.read('server.key')), cert: Buffer.from(made.read('server.pem')) }
    const tls = { type: 'tls-config', cert: '', key: '', verifyservercert: true }
    const globals = ['ca', 'other'].map((id) => ({ ...tls, id, ca: made.path(`${id}.pem`) }))
    try {
      const server = await start({ tls: { key, cert } })
      for (const id of ['', 'other', 'ca']) {
        rig = await ZerobusRig.start(server, { config: { tls: id }, globals })
        const { body } = await rig.test()
        assert.equal(body.ok ? 'none' : body.fault, id === 'ca' ? 'none' : 'tls')
        rig.send({ payload: { id: 1 } })
        if (id === 'ca') await rig.until('out')
        else assert.equal((await rig.until('failed'))[0].arrow.failed[0].code, 'TRANSPORT')
        await rig.remove()
      }
      assert.deepEqual(idsOf(server), [1])
      rig = await ZerobusRig.start(server, { config: { tls: 'gone' }, globals })
      await rig.find('status', ({ text }) => text === 'error.INVALID_OPTION')
    } finally {
      made.remove()
    }
  })

  it('its test says so where it is not deployed, or has wrong settings, and names them all', async () => {
    const wrong = { spoolFolder: '../beside', endpoint: 'nowhere', attempts: 0 }
    rig = await ZerobusRig.start(await start(), { config: { spool: true, ...wrong } })
    assert.equal((await rig.test('other')).body, null)
    const { status, body } = await rig.test()
    assert.deepEqual([status, body.code], [500, 'INVALID_OPTION'])
    for (const [name, value] of Object.entries(wrong)) {
      const told = `${name} is ${JSON.stringify(value).replaceAll('"', "'")}: `
      assert.ok(String(body.message).includes(told), String(body.message))
    }
  })

  it('takes its settings from the environment', async () => {
    const server = await start()
    const { endpoint, unityCatalogUrl, clientId, clientSecret } = server.config(table) as Record<string, string>
    const { env } = process
    Object.assign(env, {
      MR_PORT: endpoint?.split(':').at(-1),
      MR_URL: unityCatalogUrl,
      MR_NAME: 'readings',
      MR_SECRET: clientSecret,
    })
    try {
      const config = {
        endpoint: `http://127.0.0.1:\${MR_PORT}`,
        unityCatalogUrl: `\${MR_URL}`,
        table: `main.default.\${MR_NAME}`,
      }
      rig = await ZerobusRig.start(server, { config, credentials: { clientId, clientSecret: `\${MR_SECRET}` } })
      rig.send({ payload: { id: 1 } })
      await rig.until('out')
      assert.deepEqual(idsOf(server), [1])
    } finally {
      for (const name of ['MR_PORT', 'MR_URL', 'MR_NAME', 'MR_SECRET']) delete env[name]
    }
  })

  it('writes copies, and nothing else where its writer is disabled', async () => {
    const server = await start()
    const config = { copiesArrow: true, copiesProtobuf: true, writerDisabled: true, endpoint: '' }
    rig = await ZerobusRig.start(server, { config })
    rig.send({ payload: [{ id: 1 }] })
    assert.equal((await rig.until('out'))[0].arrow.success, true)
    await rig.stop()
    assert.equal(server.count(table), 0)
    const folder = join(rig.userDir, 'millrace', 'arrow', 'copies-table')
    assert.equal(readdirSync(join(folder, 'arrow')).filter((name) => name.endsWith('.arrow')).length, 1)
    assert.ok(readdirSync(join(folder, 'protobuf')).length > 0)
  })

  it('sends rows of which no copies can be written as Arrow files, and says so', async () => {
    const server = await start()
    const userDir = temporary()
    const folder = join(userDir, 'millrace', 'arrow', 'copies-table')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'arrow'), 'a file where the folder should be')
    rig = await ZerobusRig.start(server, { config: { copiesArrow: true }, userDir })
    rig.send({ payload: { id: 1 } })
    assert.equal((await rig.until('out'))[0].arrow.success, true)
    await rig.find('warn', (text) => text === 'warning.copies')
    assert.deepEqual(idsOf(server), [1])
  })

  it('sends rows of which no copies can be written, and says so', async () => {
    const server = await start()
    const blocked = (config: Json) => {
      const userDir = temporary()
      const folder = join(userDir, 'millrace', 'arrow', 'copies-table')
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'protobuf'), 'a file where the folder should be')
      return ZerobusRig.start(server, { config: { copiesProtobuf: true, ...config }, userDir })
    }
    rig = await blocked({})
    rig.send({ payload: { id: 1 } })
    assert.equal((await rig.until('out'))[0].arrow.success, true)
    await rig.find('warn', (text) => text === 'warning.copies')
    assert.deepEqual(idsOf(server), [1])
    await rig.remove()
    // Where they are all that is made of a message, it fails.
    rig = await blocked({ writerDisabled: true })
    rig.send({ payload: { id: 2 } })
    assert.equal((await rig.until('failed'))[0].arrow.failed[0].code, 'STORE_FAILED')
  })

  it('sends figures to a collector, where it has one', async () => {
    const heard: string[] = []
    const collector = createHttpServer(async (request, response) => {
      let text = ''
      for await (const part of request) text += part
      heard.push(`${request.url} ${text}`)
      response.end('{}')
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    const { port } = collector.address() as { port: number }
    try {
      rig = await ZerobusRig.start(await start(), { config: { telemetry: `http://127.0.0.1:${port}/otlp` } })
      rig.send({ payload: { id: 1 } })
      await rig.until('out')
      await rig.stop()
      assert.deepEqual(
        heard.map((one) => one.split(' ')[0]),
        ['/otlp/v1/metrics', '/otlp/v1/traces'],
      )
    } finally {
      collector.close()
    }
  })

  it('infers columns from the first rows that have any, and keeps them', async () => {
    const server = await start({ tables: { [table]: [] } })
    rig = await ZerobusRig.start(server, { config: { columns: [], unknown: 'ignore' } })
    rig.send({ payload: [1] })
    await rig.until('caught')
    rig.send({ payload: { id: 1 } })
    await rig.until('out')
    rig.send({ payload: { id: 2, more: 'x' } })
    await rig.until('out', 2)
    assert.deepEqual(server.rows(table), [{ id: 1n }, { id: 2n }])
  })

  for (const delivery of ['flight', 'protobuf', 'json']) {
    it(`has the type of a column that begins with nulls from its first value, by ${delivery}`, async () => {
      const types = { value: 'DOUBLE', id: 'BIGINT' }
      const server = await start({ tables: { [table]: Object.entries(types).map(([name, type]) => ({ name, type })) } })
      rig = await ZerobusRig.start(server, { config: { columns: [], delivery } })
      for (const value of [null, 0.5, null]) rig.send({ payload: { value, id: 1 } })
      await rig.until('out', 3)
      assert.deepEqual(
        server.rows(table),
        [null, 0.5, null].map((value) => ({ value, id: 1n })),
      )
    })
  }

  it('says at once what is wrong with it', async () => {
    rig = await ZerobusRig.start(await start(), { credentials: { clientSecret: '' } })
    assert.deepEqual(await rig.until('warn'), ['warning.open'])
    await rig.find('status', ({ fill, text }) => fill === 'red' && text === 'error.INVALID_OPTION')
  })
})
