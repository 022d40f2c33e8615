import assert from 'node:assert/strict'
import { EmbeddingServer, silence, status } from './embedding-server'
import { embedderOf, ingestOf, type Json, Rig, recallOf, rememberOf, retrieveOf, storeOf } from './rig'

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

  it('with a wrong setting it is red, and its test and its users say so', async () => {
    const rig = await start({ url: 'localhost' }, ingestOf({ embedder: 'embedder' }))
    await rig.find('status', ({ id, text }) => id === 'embedder' && text === 'error.INVALID_OPTION')
    assert.equal((await test(rig)).code, 'INVALID_OPTION')
    rig.send('ingest', { topic: 'a', payload: 'oil' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })
})
