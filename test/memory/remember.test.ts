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

  const wrong: [title: string, message: Json, code: string][] = [
    ['no text', {}, 'INVALID_INPUT'],
    ['a list', { payload: [1, 0] }, 'INVALID_INPUT'],
    ['an empty text', { payload: '' }, 'INVALID_INPUT'],
    ['too much importance', { payload: 'x', importance: 2 }, 'INVALID_OPTION'],
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
