import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { FIBONACCI, fibonacci } from './fibonacci'
import { contextOf, goalsOf, Inbox, type Json, type Opened, openContext, Rig, replyOf, ros2Suite, serveOf } from './rig'

const DOMAIN = 130
const messages = Object.entries(fibonacci)
  .map(([name, text]) => `=== ${name}\n${text}`)
  .join('\n')
const context = (more: Json = {}) => contextOf(DOMAIN, { messages, ...more })
const long = { timeoutMs: 15_000 }

ros2Suite('goals', () => {
  let other: Opened
  let client: ros2.ActionClient
  before(async () => {
    other = await openContext(DOMAIN, 'other', { messages: fibonacci })
    client = other.context.action('/count', FIBONACCI)
  })
  afterEach(() => Rig.stop())
  after(async () => {
    await client.close()
    await other.context.close()
  })

  it('gives each goal on as a message, whose id leads feedback and result back', async () => {
    const rig = await Rig.start(context(), goalsOf(), replyOf())
    const said = new Inbox<unknown>()
    const onFeedback = ({ sequence }: Record<string, unknown>) => said.put(sequence)
    const goals = await Promise.all([3, 4].map((order) => client.sendGoal({ order }, { ...long, onFeedback })))
    const asked = await rig.until('heard', 2)
    assert.equal(new Set(asked.map(({ ros2 }) => ros2.request)).size, 2)
    for (const { topic, payload, ros2 } of asked) {
      assert.deepEqual([topic, ros2.type, typeof ros2.request], ['/count', FIBONACCI, 'string'])
      assert.equal(ros2.goal, goals[payload.order - 3]?.id)
    }
    await rig.find('status', ({ id, text, shape }) => id === 'goals' && text === 'status.working' && shape === 'ring')
    const [{ ros2, payload }] = asked.filter((message) => message.payload.order === 4)
    rig.sendTo('reply', { ros2, feedback: true, payload: { sequence: [1] } })
    rig.sendTo('reply', { ros2, feedback: true, payload: { sequence: [1, 2] } })
    assert.deepEqual(await said.until(2), [[1], [1, 2]])
    rig.sendTo('reply', { ros2, payload: { sequence: [payload.order] } })
    assert.deepEqual(await goals[1]?.result(), { status: 'succeeded', result: { sequence: [4] } })
    const [first] = asked.filter((message) => message.payload.order === 3)
    rig.sendTo('reply', { ros2: first.ros2, aborted: true, payload: { sequence: [9] } })
    assert.deepEqual(await goals[0]?.result(), { status: 'aborted', result: { sequence: [9] } })
    await rig.until('completed', 4)
    await rig.find('status', ({ id, text, shape }) => id === 'goals' && text === 'status.working' && shape === 'dot')
    // What is over cannot be told of.
    rig.sendTo('reply', { ros2, payload: {} }, { ros2, feedback: true, payload: {} })
    for (const { error } of await rig.until('caught', 2)) assert.equal(error.code, 'INVALID_INPUT')
  })

  it('what does not fit leaves the goal in work', async () => {
    const rig = await Rig.start(context(), goalsOf(), replyOf())
    const goal = await client.sendGoal({}, long)
    const [{ ros2 }] = await rig.until('heard')
    const wrong = [{ payload: { sum: 1 } }, { payload: 'text' }, { feedback: true, payload: { sequence: 'x' } }]
    for (const message of wrong) rig.sendTo('reply', { ros2, ...message })
    for (const { error } of await rig.until('caught', 3)) assert.equal(error.code, 'INVALID_INPUT')
    rig.sendTo('reply', { ros2, payload: { sequence: [1] } })
    assert.deepEqual(await goal.result(), { status: 'succeeded', result: { sequence: [1] } })
  })

  it('tells of goals to be cancelled, which the reply then ends as such', async () => {
    const rig = await Rig.start(context(), goalsOf(), replyOf())
    const goal = await client.sendGoal({}, long)
    const [{ ros2 }] = await rig.until('heard')
    assert.equal(await goal.cancel(long), true)
    const [cancel] = await rig.until('rest')
    assert.deepEqual([cancel.topic, cancel.payload, cancel.ros2], ['/count', goal.id, ros2])
    rig.sendTo('reply', { ros2: cancel.ros2, payload: { sequence: [5] } })
    assert.deepEqual(await goal.result(), { status: 'canceled', result: { sequence: [5] } })
  })

  it('does not let goals be cancelled where nobody would hear of it', async () => {
    const rig = await Rig.start(context(), goalsOf({ wires: [['sink'], []] }), replyOf())
    const goal = await client.sendGoal({}, long)
    await rig.until('heard')
    await assert.rejects(goal.cancel(long), { code: 'REFUSED' })
  })

  it('lets its goals go when it is closed, and tells nobody to cancel', async () => {
    const rig = await Rig.start(context(), goalsOf(), replyOf())
    const goal = await client.sendGoal({}, long)
    const [{ ros2 }] = await rig.until('heard')
    const ended = goal.result().then(
      ({ status }) => status,
      (error) => error.code,
    )
    await rig.redeploy(context(), goalsOf({ action: '/other' }), replyOf())
    // Which of them depends on who is faster.
    assert.ok(['aborted', 'TRANSPORT'].includes(await ended))
    rig.sendTo('reply', { ros2, payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    assert.deepEqual(rig.seen.rest, [])
  })

  it('a request of a service has no feedback', async () => {
    const rig = await Rig.start(context(), serveOf(), replyOf())
    const answer = other.context.call('/add', 'example_interfaces/srv/AddTwoInts', {}, long)
    const [{ ros2 }] = await rig.until('heard')
    rig.sendTo('reply', { ros2, feedback: true, payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    rig.sendTo('reply', { ros2, payload: {} })
    assert.deepEqual(await answer, { sum: 0n })
  })

  const bad: [string, Json[], string][] = [
    ['no context', [goalsOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['an unknown type', [context(), goalsOf({ actionType: 'a/action/B' })], 'error.UNKNOWN_TYPE'],
    ['no action', [context(), goalsOf({ action: 'a b' })], 'error.INVALID_OPTION'],
  ]
  for (const [title, nodes, text] of bad) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(...nodes)
      assert.equal((await rig.find('status', (one) => one.text === text)).fill, 'red')
      await rig.until('error')
    })
  }
})
