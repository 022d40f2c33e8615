import assert from 'node:assert/strict'
import { contextOf, type Json, type Opened, openContext, Rig, replyOf, ros2Suite, serveOf } from './rig'

const DOMAIN = 138
const ADD = 'example_interfaces/srv/AddTwoInts'
const long = { timeoutMs: 15_000 }

ros2Suite('reply', () => {
  let other: Opened
  before(async () => {
    other = await openContext(DOMAIN, 'other')
  })
  afterEach(() => Rig.stop())
  after(() => other.context.close())

  const lost: [string, Json][] = [
    ['nothing', {}],
    ['null', { ros2: null }],
    ['an id that never was', { ros2: { request: 'x' } }],
    ['a number', { ros2: { request: 5 } }],
  ]
  for (const [title, message] of lost) {
    it(`a message that names no open request is an error: ${title}`, async () => {
      const rig = await Rig.start(replyOf())
      rig.sendTo('reply', { _msgid: 'one', payload: {}, ...message })
      const [caught] = await rig.until('caught')
      assert.deepEqual([caught.error.code, caught._msgid], ['INVALID_INPUT', 'one'])
    })
  }

  it('a response that does not fit leaves the request open, and only the first one counts', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), serveOf(), replyOf())
    const answer = other.context.call('/add', ADD, {}, long)
    const [{ ros2 }] = await rig.until('heard')
    for (const payload of [{ sum: 'much' }, { sam: 1 }, 'text', 5]) rig.sendTo('reply', { ros2, payload })
    for (const { error } of await rig.until('caught', 4)) assert.equal(error.code, 'INVALID_INPUT')
    assert.deepEqual(rig.seen.completed, [])
    rig.sendTo('reply', { ros2, payload: { sum: 4 } }, { ros2, payload: { sum: 5 } })
    assert.deepEqual(await answer, { sum: 4n })
    assert.equal((await rig.until('caught', 5))[4].error.code, 'INVALID_INPUT')
    await rig.until('completed')
    await rig.find('status', ({ id, text }) => id === 'reply' && text === 'status.answered')
  })

  it('raw CDR is a response, too', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), serveOf(), replyOf())
    const answer = other.context.call('/add', ADD, {}, long)
    const [{ ros2 }] = await rig.until('heard')
    rig.sendTo('reply', { ros2, payload: Buffer.from([0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]) })
    assert.deepEqual(await answer, { sum: 7n })
  })
})
