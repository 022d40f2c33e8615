/** Actions with other people's software: ROS 2 Jazzy over Fast DDS. */
import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { fibonacci, FIBONACCI as TYPE } from './fibonacci'
import { Peer, peersSuite } from './peer'
import { Inbox, type Opened, openContext } from './rig'

/** With a meaning of their own for the server there. */
const [ABORTED, ENDLESS, STUBBORN] = [101, 102, 103]
const [EXECUTING, SUCCEEDED, CANCELED, ABORTED_STATUS] = [2, 4, 5, 6]
const long = { timeoutMs: 20_000 }
const upTo = (order: number) => Array.from({ length: order }, (_, place) => place)

peersSuite('ros2 actions with peers', () => {
  const domain = 132
  let peer: Peer
  let node: Opened
  let client: ros2.ActionClient

  before(async () => {
    peer = await Peer.start('peer_rclpy.py', domain)
    node = await openContext(domain, 'our_node', { messages: fibonacci })
    await peer.ask({ act: '/theirs' })
    client = node.context.action('/theirs', TYPE)
  })

  after(async () => {
    await client?.close()
    await node?.context.close()
    await peer?.stop()
  })

  /** Sends a goal and notes what is said of it. */
  async function send(order: number): Promise<{ goal: ros2.ActionGoal; heard: unknown[] }> {
    const heard: unknown[] = []
    const goal = await client.sendGoal({ order }, { ...long, onFeedback: ({ sequence }) => heard.push(sequence) })
    return { goal, heard }
  }

  it('takes a goal, tells all of its feedback in order, and then the result', async () => {
    const { goal, heard } = await send(50)
    assert.deepEqual(await goal.result(), { status: 'succeeded', result: { sequence: upTo(50) } })
    assert.deepEqual(
      heard,
      upTo(50).map((length) => upTo(length + 1)),
    )
    assert.deepEqual([goal.status, client.active], ['succeeded', []])
  })

  it('tells the first feedback, too, when its client has only just come', async () => {
    // In a domain where nobody of this process knows the server already.
    const own = await Peer.start('peer_rclpy.py', domain + 1)
    await own.ask({ act: '/theirs' })
    for (let round = 0; round < 5; round += 1) {
      const { context } = await openContext(domain + 1, 'newcomer', { messages: fibonacci })
      const newcomer = context.action('/theirs', TYPE)
      const heard: unknown[] = []
      const onFeedback = ({ sequence }: Record<string, unknown>) => heard.push(sequence)
      const goal = await newcomer.sendGoal({ order: 2 }, { ...long, onFeedback })
      await goal.result()
      assert.deepEqual(heard, [[0], [0, 1]])
      await newcomer.close()
      await context.close()
    }
    await own.stop()
  })

  it('refuses a goal', async () => {
    await assert.rejects(send(-1), { code: 'REFUSED' })
    assert.deepEqual(client.active, [])
  })

  it('aborts a goal, and its result is there', async () => {
    const { goal } = await send(ABORTED)
    assert.deepEqual(await goal.result(), { status: 'aborted', result: { sequence: [0, 1] } })
  })

  it('cancels a goal, once', async () => {
    const { goal } = await send(ENDLESS)
    const other = await send(ENDLESS)
    assert.equal(await goal.cancel(long), true)
    assert.deepEqual(await goal.result(), { status: 'canceled', result: { sequence: [0] } })
    assert.equal(await goal.cancel(long), false)
    assert.deepEqual(client.active, [other.goal])
    assert.equal(await other.goal.cancel(long), true)
    assert.equal((await other.goal.result()).status, 'canceled')
  })

  it('cancels what is under way when the client closes, if that is wanted', async () => {
    for (const cancel of [true, false]) {
      const own = node.context.action('/theirs', TYPE)
      const goal = await own.sendGoal({ order: ENDLESS }, long)
      const gone = assert.rejects(goal.result(), { code: 'CLOSED' })
      await own.close({ cancel })
      await gone
      await seen(goal.id, cancel ? CANCELED : EXECUTING)
    }
  })

  /** Ends when the server tells that a goal is so. */
  async function seen(id: string, wanted: number): Promise<void> {
    const arrays = new Inbox<Record<string, unknown>>()
    const qos = { reliability: 'reliable', durability: 'transient-local' } as const
    const put = ({ message }: ros2.Received) => arrays.put(message)
    const subscription = node.context.subscribe('/theirs/_action/status', 'action_msgs/GoalStatusArray', put, { qos })
    const isWanted = ({ status_list }: Record<string, unknown>) =>
      (status_list as { goal_info: { goal_id: { uuid: Buffer } }; status: number }[]).some(
        ({ goal_info: { goal_id }, status }) =>
          goal_id.uuid.toString('hex') === id.replaceAll('-', '') && status === wanted,
      )
    while (!arrays.all.some(isWanted)) await arrays.until(arrays.all.length + 1)
    await subscription.close()
  }

  it('does not cancel what it does not want to', async () => {
    const { goal } = await send(STUBBORN)
    await assert.rejects(goal.cancel(long), { code: 'REFUSED' })
    assert.deepEqual([goal.status, client.active], ['executing', [goal]])
  })

  it('that dies in the middle leaves goals without a result', async () => {
    const own = await Peer.start('peer_rclpy.py', domain)
    await own.ask({ act: '/brief' })
    const brief = node.context.action('/brief', TYPE)
    const goal = await brief.sendGoal({ order: ENDLESS }, long)
    await own.stop()
    await assert.rejects(goal.result(), { code: 'TRANSPORT' })
    assert.deepEqual([brief.active, brief.isReady()], [[], false])
    await assert.rejects(brief.sendGoal({ order: 1 }, { timeoutMs: 100 }), { code: 'TRANSPORT' })
    await brief.close()
  })

  it('sends goals to us, and hears of them', async () => {
    const handler: ros2.GoalHandler = async ({ order }, { signal, feedback }) => {
      const sequence = upTo(5)
      for (const length of sequence) feedback({ sequence: upTo(length + 1) })
      if (order === ENDLESS && !signal.aborted) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      }
      if (order === ABORTED) throw new Error('broken')
      return { sequence }
    }
    const accept = ({ order }: Record<string, unknown>) => (order as number) >= 0
    const told = new Inbox<{ code: string }>()
    const server = node.context.serveAction('/ours', TYPE, handler, { accept, onError: told.put })
    const send = async (order: number, feedback = 0) => {
      const { heard, ...rest } = await peer.ask({ send: ['/ours', order, feedback] })
      // What comes with the result or after it is nothing to it.
      return feedback === 0 ? rest : { heard, ...rest }
    }
    assert.deepEqual(await send(5), { accepted: true, status: SUCCEEDED, sequence: upTo(5) })
    assert.deepEqual(await send(-1), { accepted: false })
    assert.deepEqual(await send(ENDLESS, 5), {
      ...{ accepted: true, heard: upTo(5).map((length) => upTo(length + 1)), status: CANCELED, sequence: upTo(5) },
    })
    assert.deepEqual(await send(ABORTED), { accepted: true, status: ABORTED_STATUS, sequence: [] })
    assert.deepEqual(
      told.all.map(({ code }) => code),
      ['INTERNAL'],
    )
    await server.close()
  })
})
