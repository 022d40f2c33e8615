import assert from 'node:assert/strict'
import { certificates } from '../action/certificates'
import { EmbeddingServer, silence, status } from './embedding-server'
import {
  embedderOf,
  ingestOf,
  type Json,
  Rig,
  recallOf,
  rememberOf,
  retrieveOf,
  searchOf,
  storeOf,
  writeOf,
} from './rig'

describe('millrace-memory-embedder', () => {
  let server: EmbeddingServer
  beforeEach(async () => {
    server = await EmbeddingServer.start()
  })
  afterEach(async () => {
    delete process.env.MILLRACE_TEST_KEY
    await Rig.stop()
    await server.stop()
  })

  const start = (config: Json = {}, ...nodes: Json[]) =>
    Rig.start(storeOf(), embedderOf({ url: server.url, ...config }), ...nodes)
  const test = async (rig: Rig, id = 'embedder') => (await rig.post(`/millrace-memory-embedder/${id}/test`, {})).body

  it('serves documents and an agent', async () => {
    const by = { embedder: 'embedder' }
    const rig = await start({ batch: 2 }, ingestOf(by), retrieveOf(by), rememberOf(by), recallOf(by))
    rig.send('ingest', { topic: 'a.md', payload: '# A\noil\n# B\nwater\n# C\nair' })
    await rig.until('written')
    assert.deepEqual((await rig.answer({ payload: 'water' }, 'retrieve')).payload[0].headings, ['B'])
    rig.send('remember', { payload: 'Pump two takes oil' })
    await rig.until('written', 2)
    assert.equal((await rig.answer({ payload: 'oil' }, 'recall')).payload[0].text, 'Pump two takes oil')
    assert.deepEqual(
      server.asked.map(({ body }) => body.input.length),
      [2, 1, 1, 1, 1],
    )
  })

  it('serves texts that are written and searched for', async () => {
    const by = { embedder: 'embedder' }
    const rig = await start({}, writeOf({ operation: 'embed', ...by }), writeOf({ id: 'put', ...by }), searchOf(by))
    await rig.put({ topic: 'a', payload: 'oil' }, { topic: 'b', payload: 'water' })
    assert.equal((await rig.answer({ payload: 'water' }, 'search')).payload[0].key, 'b')
    assert.deepEqual(server.asked.map(({ body }) => body.input[0]).sort(), ['oil', 'water'])
    rig.send('put', { topic: 'a', payload: 'oil' })
    await rig.until('written', 3)
    assert.equal(server.asked.length, 2)
  })

  it('a vector that takes longer is not written over a later one', async () => {
    const rig = await start(
      {},
      writeOf({ operation: 'embed', embedder: 'embedder' }),
      searchOf({ embedder: 'embedder' }),
    )
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      server.faults = [
        (response) => {
          answer = () => status(200, { data: [{ embedding: new Array(8).fill(1) }] })?.(response, undefined as never)
          resolve()
        },
      ]
    })
    rig.send('write', { topic: 'a', payload: 'first', metadata: 1 })
    await asked
    rig.send('write', { topic: 'a', payload: 'second', metadata: 2 })
    while (server.asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
    answer()
    await rig.until('written', 2)
    assert.equal((await rig.answer({ payload: 'second' }, 'search')).payload[0].metadata, 2)
  })

  it('mixes no models', async () => {
    const rig = await start({}, ingestOf(), ingestOf({ id: 'other', embedder: 'embedder' }))
    rig.send('ingest', { topic: 'a', payload: 'oil' })
    await rig.until('written')
    rig.send('other', { topic: 'b', payload: 'oil' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('its test tells what the server answers, with the key of the environment', async () => {
    server.key = 'sk-1'
    process.env.MILLRACE_TEST_KEY = 'sk-1'
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Node-RED reads it
    Rig.credentials = { embedder: { apiKey: '${MILLRACE_TEST_KEY}' } }
    const rig = await start({ dimensions: 4 })
    const { model, dimensions, ms } = await test(rig)
    assert.deepEqual([model, dimensions, ms >= 0], ['test-model', 4, true])
    assert.equal(server.asked[0]?.authorization, 'Bearer sk-1')
    assert.equal(await test(rig, 'nowhere'), null)
  })

  it('its test tells what fails, at once', async () => {
    server.key = 'sk-1'
    const rig = await start({ timeoutMs: 100 }, embedderOf({ id: 'second', url: server.url, model: 'none' }))
    assert.equal((await test(rig)).code, 'REFUSED')
    server.key = undefined
    assert.match((await test(rig, 'second')).message, /model none not found/)
    server.faults = [status(500, {}), silence]
    assert.equal((await test(rig)).code, 'TRANSPORT')
    assert.equal((await test(rig)).code, 'TIMEOUT')
    assert.equal(server.asked.length, 4)
  })

  it('asks by Node-RED’s own TLS settings', async function tls() {
    const made = certificates()
    if (!made) {
      console.log('      SKIPPED: there is no openssl')
      return this.skip()
    }
    const secure = await EmbeddingServer.start({ cert: made.read('server.pem'), key: made.read('server.key') })
    try {
      const tls = { id: 'tls', type: 'tls-config', cert: '', key: '', ca: made.path('ca.pem'), verifyservercert: true }
      const to = (id: string, tls: string) => embedderOf({ id, url: secure.url, retries: 0, tls })
      const missing = { ...tls, id: 'missing', ca: made.path('none.pem') }
      const nodes = [tls, missing, to('known', 'tls'), to('unknown', ''), to('wrong', 'missing')]
      const rig = await Rig.start(storeOf(), ...nodes)
      assert.equal((await test(rig, 'known')).dimensions, 8)
      assert.equal((await test(rig, 'unknown')).code, 'TRANSPORT')
      assert.equal((await test(rig, 'wrong')).code, 'INVALID_OPTION')
    } finally {
      await secure.stop()
      made.remove()
    }
  })

  it('with a wrong setting it is red, and its test and its users say so', async () => {
    const rig = await start({ url: 'localhost' }, ingestOf({ embedder: 'embedder' }))
    await rig.find('status', ({ id, text }) => id === 'embedder' && text === 'error.INVALID_OPTION')
    assert.equal((await test(rig)).code, 'INVALID_OPTION')
    rig.send('ingest', { topic: 'a', payload: 'oil' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })
})
