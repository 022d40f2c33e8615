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
    const { payload, exact } = await rig.answer({ payload: 'a machine that loses lubricant' }, 'search')
    assert.equal(exact, true)
    const [{ key, score, metadata, value }] = payload
    assert.deepEqual([payload.length, key, value, metadata], [1, 'pump', { text: texts.pump }, { length: 41 }])
    assert.ok(score > 0 && score < 1)
    assert.deepEqual(await keysOf(rig, 'what is there for lunch'), ['menu'])
    await rig.find('status', ({ id, text }) => id === 'search' && text === 'status.done')
  })

  it('finds words as they stand, where they count, too', async () => {
    const rig = await start({ words: true })
    const { payload, exact } = await rig.answer({ payload: 'rain' }, 'search')
    assert.deepEqual([payload[0].key, payload[0].words, exact], ['weather', 1, false])
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

  it('finds what there was at a time, with the documents of then', async () => {
    const rig = await start({ time: 'asOf', timeType: 'msg' })
    const { time } = rig.seen.written[rig.seen.written.length - 1].memory
    const date = new Date(Math.ceil(time))
    // A whole millisecond means its end.
    while (Date.now() <= date.getTime()) await new Promise((resolve) => setImmediate(resolve))
    rig.send('write', { topic: 'pump', payload: { text: 'Bread' } })
    await rig.until('written', 7)
    rig.send('embed', { topic: 'pump', payload: { text: 'Bread and butter' } })
    await rig.until('written', 8)
    const ask = async (asOf: unknown) =>
      (await rig.answer({ payload: 'a machine that loses lubricant', asOf }, 'search')).payload
    for (const moment of [time, date, date.toISOString()]) {
      const [{ key, value, metadata }] = await ask(moment)
      assert.deepEqual([key, value, metadata], ['pump', { text: texts.pump }, { length: 41 }])
    }
    for (const moment of [undefined, '', null]) {
      const { value, metadata } = (await ask(moment)).find(({ key }: Json) => key === 'pump')
      assert.deepEqual([value, metadata], [{ text: 'Bread' }, null])
    }
    assert.deepEqual(await ask(0), [])
    rig.send('search', { payload: 'oil', asOf: 'noon' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

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
