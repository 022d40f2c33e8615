import assert from 'node:assert/strict'
import { type Json, Rig, searchOf, storeOf, writeOf } from './rig'

const texts: Json = {
  pump: 'The pump leaks oil and has to be repaired',
  menu: 'We serve soup and bread at noon',
  weather: 'Heavy rain and wind are expected tomorrow',
}

describe('millrace-memory-search', () => {
  afterEach(() => Rig.stop())

  /** With the texts and their vectors in it. */
  async function start(config: Json = {}): Promise<Rig> {
    const nodes = [writeOf(), writeOf({ id: 'embed', operation: 'embed', value: 'payload.text' }), searchOf(config)]
    const rig = await Rig.start(storeOf(), ...nodes)
    for (const [topic, text] of Object.entries(texts)) {
      const [message] = await rig.put({ topic, payload: { text }, metadata: { length: String(text).length } })
      const written = rig.seen.written.length
      rig.send('embed', message)
      await rig.until('written', written + 1)
    }
    return rig
  }

  async function keysOf(rig: Rig, payload: unknown): Promise<string[]> {
    return (await rig.answer({ payload }, 'search')).payload.map(({ key }: Json) => key)
  }

  it('finds documents by meaning, with what was kept of them', async () => {
    const rig = await start({ topK: 1 })
    const { payload } = await rig.answer({ payload: 'a machine that loses lubricant' }, 'search')
    const [{ key, score, metadata, value }] = payload
    assert.deepEqual([payload.length, key, value, metadata], [1, 'pump', { text: texts.pump }, { length: 41 }])
    assert.ok(score > 0 && score < 1)
    assert.deepEqual(await keysOf(rig, 'what is there for lunch'), ['menu'])
    await rig.find('status', ({ id, text }) => id === 'search' && text === 'status.counts')
  })

  it('finds words as they stand, where they count, too', async () => {
    const rig = await start({ words: true })
    const { payload } = await rig.answer({ payload: 'rain' }, 'search')
    assert.deepEqual([payload[0].key, payload[0].words], ['weather', 1])
    assert.ok(payload[0].near > payload[1].near)
  })

  const filters: [title: string, config: Json, keys: string[]][] = [
    ['by metadata', { filter: '{"length": {"lt": 40}}' }, ['menu']],
    ['by the document', { documents: '{"text": {"contains": "rain"}}' }, ['weather']],
    ['by the score', { threshold: 0.99 }, []],
  ]
  for (const [title, config, keys] of filters) {
    it(`finds only what fits: ${title}`, async () => {
      const rig = await start(config)
      assert.deepEqual(await keysOf(rig, 'a machine that loses lubricant'), keys)
    })
  }

  it('a vector need not have a document; a vector can be searched for', async () => {
    const rig = await Rig.start(storeOf(), writeOf({ operation: 'embed' }), searchOf())
    await rig.put({ topic: 'east', payload: [1, 0] }, { topic: 'north', payload: [0, 1] })
    const { payload } = await rig.answer({ payload: [0.9, 0.1] }, 'search')
    assert.deepEqual(
      payload.map(({ key, value }: Json) => [key, value]),
      [
        ['east', null],
        ['north', null],
      ],
    )
    for (const payload of [[1, 2, 3], { a: 1 }, '', undefined]) rig.send('search', { payload })
    for (const { error } of await rig.until('caught', 4)) assert.equal(error.code, 'INVALID_INPUT')
    rig.send('write', { topic: 'up', payload: [1, 2, 3] })
    assert.equal((await rig.until('caught', 5))[4].error.code, 'INVALID_INPUT')
  })
})
