import assert from 'node:assert/strict'
import { type Json, Rig, recallOf, rememberOf, storeOf } from './rig'

describe('millrace-memory-remember', () => {
  afterEach(() => Rig.stop())

  const kinds: [config: Json, message: Json, expected: Json][] = [
    [{}, {}, { kind: 'episode', importance: 0.5, tags: [] }],
    [{ kind: 'fact' }, { data: { pump: 2 } }, { kind: 'fact', importance: 0.9, data: { pump: 2 } }],
    [
      { kind: 'procedure', importance: '0.1', tags: 'a, b' },
      {},
      { kind: 'procedure', importance: 0.1, tags: ['a', 'b'] },
    ],
    [{ importance: 0.1 }, { importance: 1 }, { importance: 1 }],
  ]
  for (const [config, message, expected] of kinds) {
    it(`keeps ${JSON.stringify(expected)}`, async () => {
      const rig = await Rig.start(storeOf(), rememberOf(config), recallOf())
      rig.send('remember', { payload: 'The mill stopped', ...message })
      const [{ memory, payload }] = await rig.until('written')
      assert.deepEqual([payload, memory.agent], ['The mill stopped', 'agent'])
      const [found] = (await rig.answer({ payload: 'mill' }, 'recall')).payload
      assert.equal(found.id, memory.id)
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key], value, key)
    })
  }

  it('forgets by an id', async () => {
    const rig = await Rig.start(storeOf(), rememberOf(), rememberOf({ id: 'forget', operation: 'forget' }), recallOf())
    rig.send('remember', { payload: 'The mill stopped' })
    const [{ memory }] = await rig.until('written')
    rig.send('forget', { payload: memory.id })
    const [, first] = await rig.until('written', 2)
    rig.send('forget', { payload: memory.id })
    const [, , second] = await rig.until('written', 3)
    assert.deepEqual(
      [first.memory, second.memory.forgotten],
      [{ agent: 'agent', id: memory.id, forgotten: true }, false],
    )
    assert.deepEqual((await rig.answer({ payload: 'mill' }, 'recall')).payload, [])
    rig.send('forget', { payload: '' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('consolidates, tells what it did, and takes it back once', async () => {
    const consolidate = rememberOf({ id: 'consolidate', operation: 'consolidate' })
    const undo = rememberOf({ id: 'undo', operation: 'undo', text: 'memory' })
    const rig = await Rig.start(storeOf(), rememberOf(), consolidate, undo, recallOf())
    const keep = async (importance: number, written: number) => {
      rig.send('remember', { payload: 'The mill stopped', importance })
      return (await rig.until('written', written))[written - 1].memory.id
    }
    const [less, more] = [await keep(0.4, 1), await keep(0.6, 2)]
    const recalled = async () => (await rig.answer({ payload: 'mill' }, 'recall')).payload.length
    rig.send('consolidate', {})
    const [, , { memory }] = await rig.until('written', 3)
    assert.deepEqual(memory, { agent: 'agent', merged: [{ kept: more, gone: less }], faded: [] })
    assert.equal(await recalled(), 1)
    rig.send('undo', { memory })
    assert.deepEqual((await rig.until('written', 4))[3].memory, { agent: 'agent', restored: [less], skipped: [] })
    assert.equal(await recalled(), 2)
    rig.send('undo', { memory })
    assert.deepEqual((await rig.until('written', 5))[4].memory, { agent: 'agent', restored: [], skipped: [less] })
    for (const wrong of [undefined, 'x', { merged: [] }, { merged: [7], faded: [] }])
      rig.send('undo', { memory: wrong })
    const codes = (await rig.until('caught', 4)).map(({ error }) => error.code)
    assert.deepEqual(codes, new Array(4).fill('INVALID_INPUT'))
  })

  it('consolidates by the limits of the node', async () => {
    const limits: [id: string, config: Json][] = [
      ['strict', { duplicate: 1 }],
      ['loose', { duplicate: '0.3' }],
      ['important', { fadeAfterDays: 0, fadeImportance: 0.1 }],
      ['used', { fadeAfterDays: 0, fadeUses: 0 }],
      ['all', { fadeAfterDays: 0, fadeImportance: 0.5, fadeUses: 1 }],
    ]
    const nodes = limits.map(([id, config]) => rememberOf({ id, operation: 'consolidate', ...config }))
    const rig = await Rig.start(storeOf(), rememberOf(), recallOf(), ...nodes)
    for (const payload of ['The mill stopped', 'The mill stopped again']) rig.send('remember', { payload })
    await rig.until('written', 2)
    let written = 2
    const counts = async (node: string) => {
      rig.send(node, {})
      written += 1
      const { merged, faded } = (await rig.until('written', written))[written - 1].memory
      return [merged.length, faded.length]
    }
    assert.deepEqual(await counts('strict'), [0, 0])
    assert.deepEqual(await counts('loose'), [1, 0])
    assert.equal((await rig.answer({ payload: 'mill' }, 'recall')).payload.length, 1)
    assert.deepEqual(await counts('important'), [0, 0])
    assert.deepEqual(await counts('used'), [0, 0])
    assert.deepEqual(await counts('all'), [0, 1])
  })

  const wrong: [title: string, message: Json, code: string][] = [
    ['no text', {}, 'INVALID_INPUT'],
    ['a list', { payload: [1, 0] }, 'INVALID_INPUT'],
    ['an empty text', { payload: '' }, 'INVALID_INPUT'],
    ['too much importance', { payload: 'x', importance: 2 }, 'INVALID_OPTION'],
    ['importance that is a text', { payload: 'x', importance: '0.5' }, 'INVALID_OPTION'],
    ['data that JSON cannot say', { payload: 'x', data: 1n }, 'INVALID_INPUT'],
  ]
  for (const [title, message, code] of wrong) {
    it(`refuses ${title}`, async () => {
      const rig = await Rig.start(storeOf(), rememberOf())
      rig.send('remember', message)
      assert.equal((await rig.until('caught'))[0].error.code, code)
    })
  }
})
