import assert from 'node:assert/strict'
import { type Json, Rig, recallOf, rememberOf, storeOf } from './rig'

describe('millrace-memory-recall', () => {
  afterEach(() => Rig.stop())

  async function start(config: Json = {}): Promise<Rig> {
    const fact = rememberOf({ id: 'fact', kind: 'fact', tags: 'oil' })
    const rig = await Rig.start(storeOf(), rememberOf(), fact, recallOf(config))
    rig.send('fact', { payload: 'Pump two takes oil of grade 46' })
    rig.send('remember', { payload: 'The inspector came at noon' })
    await rig.until('written', 2)
    return rig
  }

  it('lists what fits best, with reasons', async () => {
    const rig = await start({ limit: 1 })
    const { payload } = await rig.answer({ payload: 'which lubricant does the pump need?' }, 'recall')
    const [{ text, kind, score, why }] = payload
    assert.deepEqual([payload.length, text, kind], [1, 'Pump two takes oil of grade 46', 'fact'])
    assert.ok(score > 0 && score <= 1)
    assert.deepEqual(Object.keys(why).sort(), ['importance', 'recency', 'similarity', 'use'])
    await rig.find('status', ({ id, text }) => id === 'recall' && text === 'status.done')
  })

  const chosen: [config: Json, texts: string[]][] = [
    [{ kind: 'episode' }, ['The inspector came at noon']],
    [{ tags: 'oil' }, ['Pump two takes oil of grade 46']],
    [{ tags: 'oil, none' }, []],
    [{ agent: 'another' }, []],
    [{ kind: 'fact', since: '2020-01-01' }, ['Pump two takes oil of grade 46']],
    [{ since: '4102444800000', sinceType: 'num' }, []],
  ]
  for (const [config, texts] of chosen) {
    it(`recalls only what is asked for: ${JSON.stringify(config)}`, async () => {
      const rig = await start(config)
      const { payload } = await rig.answer({ payload: 'noon' }, 'recall')
      assert.deepEqual(
        payload.map(({ text }: Json) => text),
        texts,
      )
    })
  }

  it('makes a text that fits into a budget', async () => {
    const rig = await start({ output: 'context', budget: 9 })
    const { payload, memories } = await rig.answer({ payload: 'pump oil' }, 'recall')
    assert.deepEqual([payload, memories.length], ['- Pump two takes oil of grade 46', 1])
  })

  it('makes a text of what is not older than a time of the message', async () => {
    const rig = await start({ output: 'context', since: 'from', sinceType: 'msg' })
    const said = async (from: unknown) => (await rig.answer({ payload: 'pump oil', from }, 'recall')).payload
    assert.match(await said(new Date(0)), /oil/)
    assert.match(await said(undefined), /oil/)
    assert.equal(await said('2100-01-01'), '')
    rig.send('recall', { payload: 'pump', from: 'noon' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('refuses a question that is no text', async () => {
    const rig = await start()
    rig.send('recall', { payload: [1, 0] })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })
})
