import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { FIBONACCI, fibonacci } from './fibonacci'
import { actionOf, contextOf, type Json, type Opened, openContext, Rig, ros2Suite } from './rig'

const DOMAIN = 134
const EMPTY = 'my_msgs/action/Go'
const types = { ...fibonacci, [EMPTY]: 'int8 LIMIT=5\n---\nbool done\n---' }
const messages = Object.entries(types)
  .map(([name, text]) => `=== ${name}\n${text}`)
  .join('\n')
const context = (more: Json = {}) => contextOf(DOMAIN, { messages, ...more })
const upTo = (order: number) => Array.from({ length: order }, (_, place) => place)

/** Says how far it is; what is beyond 100 goes on until it is cancelled. */
const count: ros2.GoalHandler = async ({ order }, { feedback, signal }) => {
  const sequence = upTo(Math.min(order as number, 3))
  for (const length of sequence) feedback({ sequence: upTo(length + 1) })
  if (order === 13) throw new Error('broken')
  if ((order as number) > 100 && !signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
  return { sequence }
}

ros2Suite('action', () => {
  let other: Opened
  let servers: ros2.ActionServer[] = []
  before(async () => {
    other = await openContext(DOMAIN, 'other', { messages: types })
  })
  afterEach(async () => {
    await Rig.stop()
    await Promise.all(servers.map((server) => server.close()))
    servers = []
  })
  after(() => other.context.close())

  function serve(name = '/count', options: ros2.ServeActionOptions = {}, type = FIBONACCI): ros2.ActionServer {
    const handler: ros2.GoalHandler = type === EMPTY ? () => ({ done: true }) : count
    const server = other.context.serveAction(name, type, handler, { onError: () => {}, ...options })
    servers.push(server)
    return server
  }

  const active = (rig: Rig) => rig.find('status', ({ id, text }) => id === 'action' && text === 'status.active')

  it('gives the result on with the message, and feedback with copies of it', async () => {
    serve()
    const rig = await Rig.start(context(), actionOf())
    // The first one comes before the context is open.
    rig.sendTo('action', { _msgid: 'one', kept: { deep: 1 }, payload: { order: 3 } })
    const [{ _msgid, kept, payload, ros2 }] = await rig.until('heard')
    assert.deepEqual([_msgid, kept, payload], ['one', { deep: 1 }, { sequence: [0, 1, 2] }])
    assert.deepEqual(ros2, { type: FIBONACCI, goal: ros2.goal, status: 'succeeded' })
    const said = await rig.until('rest', 3)
    assert.deepEqual(
      said.map((message) => [message._msgid, message.payload.sequence, message.ros2]),
      upTo(3).map((length) => ['one', upTo(length + 1), { type: FIBONACCI, goal: ros2.goal }]),
    )
    assert.equal(new Set([kept, ...said.map((message) => message.kept)]).size, 4)
    await rig.until('completed')
    await rig.find('status', ({ id, text, shape }) => id === 'action' && text === 'status.ended' && shape === 'dot')
  })

  it('a goal that asks for nothing takes any message, and a relative name is in the namespace', async () => {
    serve('/robot/go', {}, EMPTY)
    const node = actionOf({ action: 'go', actionType: 'my_msgs/Go', wires: [['sink'], []] })
    const rig = await Rig.start(context({ namespace: '/robot' }), node)
    rig.sendTo('action', { payload: 1_700_000_000_000 }, {})
    for (const { payload, ros2 } of await rig.until('heard', 2)) {
      assert.deepEqual([payload, ros2.type], [{ done: true }, EMPTY])
    }
  })

  it('a goal that the server aborts has a result, and that as its status', async () => {
    serve()
    const rig = await Rig.start(context(), actionOf())
    rig.sendTo('action', { payload: { order: 13 } })
    const [{ payload, ros2 }] = await rig.until('heard')
    assert.deepEqual([payload, ros2.status], [{ sequence: [] }, 'aborted'])
    await rig.until('completed')
    assert.deepEqual(rig.seen.caught, [])
  })

  it('msg.cancel cancels one goal by its id, or all of them', async () => {
    const server = serve()
    const rig = await Rig.start(context(), actionOf())
    rig.sendTo('action', ...[1, 2, 3].map((place) => ({ _msgid: `goal${place}`, payload: { order: 100 + place } })))
    const said = await rig.until('rest', 9)
    await active(rig)
    const { ros2: first } = said.find(({ _msgid }) => _msgid === 'goal1') ?? {}
    rig.sendTo('action', { _msgid: 'stop', cancel: first.goal })
    const [heard] = await rig.until('heard')
    assert.deepEqual([heard._msgid, heard.ros2], ['goal1', { ...first, status: 'canceled' }])
    assert.equal(server.active.length, 2)
    rig.sendTo('action', { _msgid: 'rest', cancel: true })
    const ends = (await rig.until('heard', 3)).map(({ _msgid, ros2 }) => [_msgid, ros2.status])
    assert.deepEqual(
      ends.sort(),
      [1, 2, 3].map((place) => [`goal${place}`, 'canceled']),
    )
    const done = (await rig.until('completed', 5)).map(({ _msgid }) => _msgid)
    assert.deepEqual(done.sort(), ['goal1', 'goal2', 'goal3', 'rest', 'stop'])
    // Nothing is left to cancel, which is no failure; a goal that is not there is one.
    rig.sendTo('action', { _msgid: 'again', cancel: true })
    await rig.until('completed', 6)
    rig.sendTo('action', { cancel: first.goal })
    assert.equal((await rig.until('caught'))[0].error.code, 'NOT_FOUND')
  })

  it('a goal that waits for its server is cancelled, too', async () => {
    const rig = await Rig.start(context(), actionOf())
    await rig.find('status', ({ id, text }) => id === 'action' && text === 'status.nobody')
    rig.sendTo('action', { _msgid: 'goal', payload: { order: 1 } })
    await active(rig)
    rig.sendTo('action', { _msgid: 'stop', cancel: true })
    const [caught] = await rig.until('caught')
    assert.deepEqual([caught._msgid, caught.error.code], ['goal', 'REVOKED'])
    assert.equal((await rig.until('completed'))[0]._msgid, 'stop')
  })

  const wrong: [string, Json][] = [
    ['a text', { payload: 'hi' }],
    ['nothing', {}],
    ['raw bytes', { payload: Buffer.from([0, 1, 0, 0]) }],
    ['an unknown field', { payload: { orders: 1 } }],
    ['a wrong value', { payload: { order: 'one' } }],
  ]
  for (const [title, message] of wrong) {
    it(`what is no goal is an error: ${title}`, async () => {
      const rig = await Rig.start(context(), actionOf())
      rig.sendTo('action', { _msgid: 'one', ...message })
      const [caught] = await rig.until('caught')
      assert.deepEqual([caught.error.code, caught._msgid], ['INVALID_INPUT', 'one'])
      assert.deepEqual([rig.seen.heard, rig.seen.completed], [[], []])
    })
  }

  it('where nobody is, and where the goal is refused, the message fails with its own code', async () => {
    const rig = await Rig.start(context(), actionOf({ timeoutMs: 200 }))
    rig.sendTo('action', { payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
    serve('/count', { accept: ({ order }) => order !== 7 })
    await rig.find('status', ({ id, text }) => id === 'action' && text === 'status.ended')
    rig.sendTo('action', { payload: { order: 7 } })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'REFUSED')
  })

  it('the message fails when its server leaves', async () => {
    const server = serve()
    const rig = await Rig.start(context(), actionOf())
    rig.sendTo('action', { payload: { order: 200 } })
    await rig.until('rest', 3)
    await server.close()
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
  })

  it('a goal that was not taken yet fails when the node is closed', async () => {
    const rig = await Rig.start(context(), actionOf())
    rig.sendTo('action', { payload: { order: 1 } })
    await active(rig)
    await rig.redeploy(context(), actionOf({ timeoutMs: 14_000 }))
    assert.equal((await rig.until('caught'))[0].error.code, 'CLOSED')
  })

  for (const onClose of ['cancel', 'leave']) {
    it(`goals are cancelled, or left, when the node is closed: ${onClose}`, async () => {
      const server = serve()
      const rig = await Rig.start(context(), actionOf({ onClose }))
      rig.sendTo('action', { payload: { order: 200 } })
      await rig.until('rest', 3)
      await rig.redeploy(context(), actionOf({ onClose, timeoutMs: 14_000 }))
      await rig.until('completed')
      assert.deepEqual([rig.seen.heard, rig.seen.caught], [[], []])
      assert.equal(server.active.length, onClose === 'cancel' ? 0 : 1)
    })
  }

  const bad: [string, Json[], string][] = [
    ['no context', [actionOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['an unknown type', [context(), actionOf({ actionType: 'a/action/B' })], 'error.UNKNOWN_TYPE'],
    ['the type of a service', [context(), actionOf({ actionType: 'std_srvs/srv/Empty' })], 'error.INVALID_OPTION'],
    ['no action', [context(), actionOf({ action: '' })], 'error.INVALID_OPTION'],
    ['no time', [context(), actionOf({ timeoutMs: 0 })], 'error.INVALID_OPTION'],
    ['an unknown end', [context(), actionOf({ onClose: 'ask' })], 'error.INVALID_OPTION'],
    [
      'half of a type',
      [contextOf(DOMAIN, { messages: `=== ${EMPTY}\n---` }), actionOf({ actionType: EMPTY })],
      'error.INVALID_OPTION',
    ],
  ]
  for (const [title, nodes, text] of bad) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(...nodes)
      assert.equal((await rig.find('status', (one) => one.text === text)).fill, 'red')
      await rig.until('error')
      rig.sendTo('action', { payload: {} })
      assert.equal(`error.${(await rig.until('caught'))[0].error.code}`, text)
    })
  }

  it('the dialogs get the actions that are there, and nothing of what they are made of', async () => {
    serve()
    const rig = await Rig.start(context())
    for (;;) {
      const { body } = await rig.get('/millrace-ros2-context/ctx/graph')
      assert.deepEqual(body.actionTypes, [EMPTY, FIBONACCI])
      assert.ok([...body.topics, ...body.services].every((one: Json) => !/_action/.test(JSON.stringify(one))))
      if (body.actions.length === 0) continue
      assert.deepEqual(body.actions, [{ action: '/count', types: [FIBONACCI] }])
      return
    }
  })
})
