/** The library's actions between two contexts of this process. Loopback only. */
import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { FIBONACCI, fibonacci } from './fibonacci'
import { Inbox, openContext, ros2Suite } from './rig'

const DOMAIN = 131
const long = { timeoutMs: 15_000 }
const upTo = (order: number) => Array.from({ length: order }, (_, place) => place)

ros2Suite('actions', () => {
  let asker: ros2.Context
  let answerer: ros2.Context
  const ends: { close(): Promise<void> }[] = []

  before(async () => {
    asker = (await openContext(DOMAIN, 'asker', { messages: fibonacci })).context
    answerer = (await openContext(DOMAIN, 'answerer', { namespace: '/robot', messages: fibonacci })).context
  })

  afterEach(async () => {
    for (const end of ends.splice(0)) await end.close()
  })

  after(() => Promise.all([asker.close(), answerer.close()]))

  function serve(name: string, handler: ros2.GoalHandler, options: ros2.ServeActionOptions = {}): ros2.ActionServer {
    const server = answerer.serveAction(name, FIBONACCI, handler, options)
    ends.push(server)
    return server
  }

  function clientOf(name: string, options: ros2.ActionOptions = {}): ros2.ActionClient {
    const client = asker.action(name, FIBONACCI, options)
    ends.push(client)
    return client
  }

  /** A handler that begins, says so, and ends when its goal is cancelled. */
  function endless() {
    const begun = new Inbox<ros2.GoalRun>()
    const handler: ros2.GoalHandler = async (_, run) => {
      begun.put(run)
      if (!run.signal.aborted) await new Promise((resolve) => run.signal.addEventListener('abort', resolve))
      return { sequence: [7] }
    }
    return { begun, handler }
  }

  it('a goal gets its feedback in order, and then its result', async () => {
    serve('count', ({ order }, { feedback }) => {
      const sequence = upTo(order as number)
      for (const length of sequence) feedback({ sequence: upTo(length + 1) })
      return { sequence }
    })
    const client = clientOf('/robot/count')
    const said: unknown[] = []
    const options = { ...long, onFeedback: ({ sequence }: Record<string, unknown>) => said.push(sequence) }
    const goal = await client.sendGoal({ order: 40 }, options)
    const outcome = goal.result().then((result) => said.push(result))
    await outcome
    const expected: unknown[] = upTo(40).map((length) => upTo(length + 1))
    assert.deepEqual(said, [...expected, { status: 'succeeded', result: { sequence: upTo(40) } }])
    assert.deepEqual([goal.status, client.active, client.isReady()], ['succeeded', [], true])
    assert.match(goal.id, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
    // Fields that are missing have their defaults; a short name of the type does, too.
    const other = asker.action('/robot/count', 'test_msgs/Fibonacci')
    ends.push(other)
    assert.deepEqual(await (await other.sendGoal({}, long)).result(), { status: 'succeeded', result: { sequence: [] } })
  })

  it('many goals of several clients are under way, and each hears of its own alone', async () => {
    const open: (() => void)[] = []
    serve('/many', async ({ order }, { feedback }) => {
      feedback({ sequence: [order] })
      await new Promise<void>((resolve) => {
        if (open.push(resolve) === 40) for (const end of open.reverse()) end()
      })
      return { sequence: [order, order] }
    })
    const clients = [clientOf('/many'), clientOf('/many')]
    const outcomes = upTo(40).map(async (order) => {
      const heard: unknown[] = []
      const onFeedback = ({ sequence }: Record<string, unknown>) => heard.push(sequence)
      const goal = await clients[order % 2]?.sendGoal({ order }, { ...long, onFeedback })
      return [heard, await goal?.result()]
    })
    for (const [order, outcome] of (await Promise.all(outcomes)).entries()) {
      assert.deepEqual(outcome, [[[order]], { status: 'succeeded', result: { sequence: [order, order] } }])
    }
  })

  it('a goal that is not taken is refused', async () => {
    const server = serve('/some', () => ({}), { accept: async ({ order }) => order !== 3 })
    const client = clientOf('/some')
    await assert.rejects(client.sendGoal({ order: 3 }, long), { code: 'REFUSED', retryable: false })
    assert.deepEqual([client.active, server.active], [[], []])
    await (await client.sendGoal({ order: 4 }, long)).result()
  })

  it('a handler that fails, or gives back what does not fit, aborts its goal', async () => {
    const told = new Inbox<{ code: string }>()
    const handlers: [string, ros2.GoalHandler][] = [
      ['INTERNAL', () => Promise.reject(new Error('broken'))],
      ['INVALID_INPUT', () => ({ sequence: ['much'] })],
      ['INVALID_INPUT', (_, { feedback }) => feedback({ sequences: [] })],
    ]
    for (const [place, [code, handler]] of handlers.entries()) {
      serve(`/failing${place}`, handler, { onError: told.put })
      const goal = await clientOf(`/failing${place}`).sendGoal({}, long)
      assert.deepEqual(await goal.result(), { status: 'aborted', result: { sequence: [] } })
      assert.deepEqual([goal.status, told.all[place]?.code], ['aborted', code])
    }
  })

  it('a goal is cancelled, alone, and only once', async () => {
    const { begun, handler } = endless()
    const server = serve('/endless', handler)
    const client = clientOf('/endless')
    const goals = [await client.sendGoal({}, long), await client.sendGoal({}, long)] as const
    await begun.until(2)
    assert.deepEqual(server.active, [goals[0].id, goals[1].id])
    assert.equal(await goals[0].cancel(long), true)
    assert.deepEqual(await goals[0].result(), { status: 'canceled', result: { sequence: [7] } })
    assert.equal(await goals[0].cancel(long), false)
    assert.deepEqual([client.active, server.active], [[goals[1]], [goals[1].id]])
    await goals[1].cancel(long)
    assert.equal((await goals[1].result()).status, 'canceled')
  })

  it('a server may not want to cancel, and a handler that fails while it is cancelled is canceled', async () => {
    const { begun, handler } = endless()
    let isAllowed = false
    const failing: ros2.GoalHandler = async (goal, run) => {
      await handler(goal, run)
      throw new Error('stopped')
    }
    serve('/stubborn', failing, { allowCancel: () => isAllowed })
    const goal = await clientOf('/stubborn').sendGoal({}, long)
    await begun.until(1)
    await assert.rejects(goal.cancel(long), { code: 'REFUSED' })
    isAllowed = true
    assert.equal(await goal.cancel(long), true)
    assert.deepEqual(await goal.result(), { status: 'canceled', result: { sequence: [] } })
  })

  it('as ROS 2 has it, a wish without an id cancels all goals, or those until a time', async () => {
    const { begun, handler } = endless()
    serve('/all', handler)
    const client = clientOf('/all')
    const goals = [await client.sendGoal({}, long), await client.sendGoal({}, long)]
    await begun.until(2)
    const ask = (goal_info: object) =>
      asker.call('/all/_action/cancel_goal', 'action_msgs/srv/CancelGoal', { goal_info }, long)
    const before = await ask({ stamp: { sec: 1, nanosec: 0 } })
    assert.deepEqual(before, { return_code: 0, goals_canceling: [] })
    const unknown = await ask({ goal_id: { uuid: Buffer.alloc(16, 1) } })
    assert.deepEqual(unknown, { return_code: 2, goals_canceling: [] })
    const all = (await ask({})) as { goals_canceling: unknown[] }
    assert.equal(all.goals_canceling.length, 2)
    for (const goal of goals) assert.equal((await goal.result()).status, 'canceled')
  })

  it('results are kept for who asks late, the latest ones', async () => {
    const server = serve('/kept', ({ order }) => ({ sequence: [order] }))
    const client = clientOf('/kept')
    const results = asker.client('/kept/_action/get_result', `${FIBONACCI}_GetResult`)
    ends.push(results)
    await client.ready(long)
    const ids: string[] = []
    while (ids.length < 1001) {
      const goals = await Promise.all(upTo(91).map((place) => client.sendGoal({ order: ids.length + place }, long)))
      await Promise.all(goals.map((goal) => goal.result()))
      ids.push(...goals.map(({ id }) => id))
    }
    assert.deepEqual(server.active, [])
    const resultOf = (id: string) => {
      return results.call({ goal_id: { uuid: Buffer.from(id.replaceAll('-', ''), 'hex') } }, long)
    }
    assert.deepEqual(await resultOf(ids[1000] as string), { status: 4, result: { sequence: [1000] } })
    assert.deepEqual(await resultOf(ids[0] as string), { status: 0, result: { sequence: [] } })
  })

  it('a server takes so many goals at most', async () => {
    const { begun, handler } = endless()
    const server = serve('/full', handler)
    const clients = [clientOf('/full'), clientOf('/full')]
    // A hundred at a time, as requests that come all at once give way to each other.
    for (let sent = 0; sent < 1000; sent += 100) {
      await Promise.all(upTo(100).map((place) => clients[place % 2]?.sendGoal({}, long)))
    }
    await assert.rejects(clientOf('/full').sendGoal({}, long), { code: 'REFUSED' })
    await begun.until(1000)
    assert.equal(server.active.length, 1000)
  })

  it('the status follows what the server does', async () => {
    const { begun, handler } = endless()
    serve('/followed', handler)
    const client = clientOf('/followed')
    const goal = await client.sendGoal({}, long)
    await begun.until(1)
    while (goal.status !== 'executing') await new Promise((resolve) => setTimeout(resolve, 5))
    await goal.cancel(long)
    await goal.result()
    assert.equal(goal.status, 'canceled')
  })

  it('where no server is, where it does not answer, and where it leaves, a goal fails', async () => {
    const client = clientOf('/nobody')
    assert.equal(client.isReady(), false)
    await assert.rejects(client.sendGoal({}, { timeoutMs: 100 }), { code: 'TRANSPORT' })
    await assert.rejects(client.ready({ timeoutMs: 100 }), { code: 'TRANSPORT' })
    const silent = serve('/nobody', () => ({}), { accept: () => new Promise(() => {}) })
    await client.ready(long)
    await assert.rejects(client.sendGoal({}, { timeoutMs: 300 }), { code: 'TIMEOUT' })
    assert.deepEqual(client.active, [])
    await silent.close()
    const { begun, handler } = endless()
    const brief = serve('/nobody', handler)
    const goal = await client.sendGoal({}, long)
    const [run] = await begun.until(1)
    await Promise.all([brief.close(), assert.rejects(goal.result(), { code: 'TRANSPORT' })])
    assert.deepEqual([client.active, run?.signal.aborted], [[], true])
  })

  it('a server that was started anew does not know the goal', async () => {
    const answers: [string, string, object][] = [
      ['send_goal', `${FIBONACCI}_SendGoal`, { accepted: true }],
      // As from a server that never heard of it.
      ['get_result', `${FIBONACCI}_GetResult`, {}],
      ['cancel_goal', 'action_msgs/srv/CancelGoal', { return_code: 2 }],
    ]
    for (const [name, type, answer] of answers) {
      ends.push(answerer.serve(`/forgetful/_action/${name}`, type, () => answer))
    }
    const client = clientOf('/forgetful')
    // Without a publisher of feedback it is no action.
    await assert.rejects(client.sendGoal({}, { timeoutMs: 500 }), { code: 'TRANSPORT' })
    ends.push(answerer.publish('/forgetful/_action/feedback', `${FIBONACCI}_FeedbackMessage`))
    const goal = await client.sendGoal({}, long)
    await assert.rejects(goal.result(), { code: 'NOT_FOUND' })
    assert.equal(await goal.cancel(long), false)
    assert.deepEqual(client.active, [])
  })

  for (const cancel of [false, true]) {
    it(`a close ${cancel ? 'cancels goals' : 'lets goals go'}`, async () => {
      const { begun, handler } = endless()
      const server = serve('/closed', handler)
      const client = clientOf('/closed')
      const goal = await client.sendGoal({}, long)
      const [run] = await begun.until(1)
      await Promise.all([client.close({ cancel }), assert.rejects(goal.result(), { code: 'CLOSED' })])
      assert.deepEqual([run?.signal.aborted, server.active], [cancel, cancel ? [] : [goal.id]])
      await assert.rejects(client.sendGoal({}), { code: 'CLOSED' })
      await client.close({ cancel })
    })
  }

  it('what onFeedback throws is told, and the goal goes on', async () => {
    const told = new Inbox<{ code: string }>()
    serve('/thrown', (_, { feedback }) => feedback({ sequence: [1] }))
    const onFeedback = () => {
      throw new Error('mine')
    }
    const goal = await clientOf('/thrown', { onError: told.put }).sendGoal({}, { ...long, onFeedback })
    assert.equal((await goal.result()).status, 'succeeded')
    assert.equal((await told.until(1))[0]?.code, 'INTERNAL')
  })

  it('absurd feedback and status of others is told, and nothing breaks', async () => {
    const told = new Inbox<{ code: string }>()
    const { begun, handler } = endless()
    serve('/absurd', handler)
    const client = clientOf('/absurd', { onError: told.put })
    const goal = await client.sendGoal({}, { ...long, onFeedback: () => {} })
    await begun.until(1)
    const reliable = { reliability: 'reliable', durability: 'transient-local' } as const
    const feedback = answerer.publish('/absurd/_action/feedback', `${FIBONACCI}_FeedbackMessage`, reliable)
    const status = answerer.publish('/absurd/_action/status', 'action_msgs/msg/GoalStatusArray', reliable)
    ends.push(feedback, status)
    while (feedback.matched() === 0 || status.matched() === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    const cut = Buffer.concat([Buffer.from([0, 1, 0, 0]), Buffer.from(goal.id.replaceAll('-', ''), 'hex')])
    for (const cdr of [cut, Buffer.from([0, 1, 0, 0])]) feedback.send(cdr)
    status.send(Buffer.from([0, 1, 0, 0, 255, 255, 255, 255]))
    await told.until(2)
    assert.deepEqual([...new Set(told.all.map(({ code }) => code))], ['INVALID_INPUT'])
    await goal.cancel(long)
    assert.equal((await goal.result()).status, 'canceled')
  })

  it('so many goals are under way at most', async () => {
    const client = clientOf('/never')
    const codes = [...Array(1001).keys()].map(() => client.sendGoal({}, long).catch((error) => error.code))
    assert.equal(await codes[1000], 'BUFFER_FULL')
    await client.close()
    assert.deepEqual([...new Set(await Promise.all(codes.slice(0, 1000)))], ['CLOSED'])
  })

  it('a goal that is wrong is not sent, and what is not known cannot be opened', async () => {
    const { context } = await openContext(DOMAIN, 'wrong', { messages: { 'a/action/Half': 'int8 a\n---\n' } })
    for (const open of [
      (name: string, type: string) => context.action(name, type),
      (name: string, type: string) => context.serveAction(name, type, () => ({})),
    ]) {
      assert.throws(() => open('/x', 'a/action/None'), { code: 'UNKNOWN_TYPE' })
      assert.throws(() => open('/x', 'a/action/Half'), { code: 'INVALID_OPTION' })
      assert.throws(() => open('/x', 'None'), { code: 'INVALID_OPTION' })
    }
    await context.close()
  })

  it('a wrong field is named before anything is sent', async () => {
    const client = clientOf('/never')
    await assert.rejects(client.sendGoal({ orders: 1 }), { code: 'INVALID_INPUT', message: /goal\.orders/ })
    await assert.rejects(client.sendGoal({ order: 'one' }), { code: 'INVALID_INPUT', message: /goal\.order/ })
    assert.throws(() => asker.action('/a b', FIBONACCI), { code: 'INVALID_OPTION' })
  })
})
