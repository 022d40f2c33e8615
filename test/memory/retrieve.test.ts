import assert from 'node:assert/strict'
import { ingestOf, type Json, Rig, retrieveOf, storeOf } from './rig'

const documents = [
  { topic: 'pump.md', payload: '# Pump\n\nThe pump takes oil of grade 46.\n\n## Noise\n\nNoise means a worn bearing.' },
  { topic: 'lunch', payload: 'Lunch is served at noon.', metadata: { site: 'canteen' } },
]

describe('millrace-memory-retrieve', () => {
  afterEach(() => Rig.stop())

  async function start(config: Json = {}): Promise<Rig> {
    const rig = await Rig.start(storeOf(), ingestOf(), retrieveOf(config))
    for (const document of documents) rig.send('ingest', document)
    await rig.until('written', documents.length)
    return rig
  }

  for (const mode of ['hybrid', 'vector', 'words']) {
    it(`gives passages with where they stand: ${mode}`, async () => {
      const rig = await start({ mode, topK: 1 })
      const { payload } = await rig.answer({ payload: 'which oil for the pump?' }, 'retrieve')
      assert.equal(payload.length, 1)
      const [{ source, headings, line, start: from, end, why, citation }] = payload
      assert.deepEqual([source, headings, line, citation], ['pump.md', ['Pump'], 3, 'pump.md, Pump, line 3'])
      assert.equal(documents[0]?.payload.slice(from, end), 'The pump takes oil of grade 46.')
      assert.deepEqual(Object.keys(why).sort(), ['similarity', 'words'])
      await rig.find('status', ({ id, text }) => id === 'retrieve' && text === 'status.done')
    })
  }

  it('filters and varies', async () => {
    const rig = await start({ filter: '{"site": "canteen"}', diversity: 0.5 })
    const { payload } = await rig.answer({ payload: 'pump' }, 'retrieve')
    assert.deepEqual(
      payload.map(({ source }: Json) => source),
      ['lunch'],
    )
  })

  it('makes a prompt with citations', async () => {
    const rig = await start({ output: 'prompt', budget: 60, instructions: 'Be brief.', query: 'question' })
    const { payload, citations } = await rig.answer({ question: 'which oil for the pump?' }, 'retrieve')
    assert.ok(payload.startsWith('Be brief.\n\n[1] pump.md, Pump, line 3\nThe pump takes oil'))
    assert.ok(payload.endsWith('\n\nQuestion: which oil for the pump?'))
    assert.equal(citations[0].citation, 'pump.md, Pump, line 3')
  })

  it('has instructions of its own', async () => {
    const rig = await start({ output: 'prompt', instructions: ' ' })
    assert.match((await rig.answer({ payload: 'oil' }, 'retrieve')).payload, /^Answer the question/)
  })

  it('refuses a question that is no text', async () => {
    const rig = await start()
    rig.send('retrieve', { payload: 7 })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('cannot be with an embedder that is not there', async () => {
    const rig = await Rig.start(storeOf(), retrieveOf({ embedder: 'store' }))
    rig.send('retrieve', { payload: 'oil' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })
})
