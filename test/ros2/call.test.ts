import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { callOf, contextOf, type Json, type Opened, openContext, Rig, ros2Suite, serveOf } from './rig'

const DOMAIN = 138
const ADD = 'example_interfaces/srv/AddTwoInts'
const TRIGGER = { service: '/go', serviceType: 'std_srvs/Trigger' }
const add: ros2.Handler = ({ a, b }) => ({ sum: (a as bigint) + (b as bigint) })

ros2Suite('call', () => {
  let other: Opened
  let servers: ros2.ServiceServer[] = []
  before(async () => {
    other = await openContext(DOMAIN, 'other')
  })
  afterEach(async () => {
    await Rig.stop()
    await Promise.all(servers.map((server) => server.close()))
    servers = []
  })
  after(() => other.context.close())

  const serve = (service: string, type: string, handler: ros2.Handler) => {
    const server = other.context.serve(service, type, handler, { onError: () => {} })
    servers.push(server)
    return server
  }

  it('gives the response on with the message, which is then complete', async () => {
    serve('/add', ADD, add)
    const rig = await Rig.start(contextOf(DOMAIN), callOf())
    // The first ones come before the context is open.
    for (const a of [1, 2]) rig.sendTo('call', { _msgid: `m${a}`, kept: a, payload: { a, b: '10' } })
    const heard = (await rig.until('heard', 2)).sort((one, two) => one.kept - two.kept)
    assert.deepEqual(
      heard.map(({ _msgid, kept, payload, ros2 }) => ({ _msgid, kept, payload, ros2 })),
      [1, 2].map((a) => ({ _msgid: `m${a}`, kept: a, payload: { sum: String(10 + a) }, ros2: { type: ADD } })),
    )
    await rig.until('completed', 2)
    await rig.find('status', ({ id, text }) => id === 'call' && text === 'status.answered')
  })

  it('a service that asks for nothing takes any message, and a relative name is in the namespace', async () => {
    serve('/robot/go', 'std_srvs/srv/Trigger', () => ({ success: true }))
    const call = callOf({ ...TRIGGER, service: 'go' })
    const rig = await Rig.start(contextOf(DOMAIN, { namespace: '/robot' }), call)
    rig.sendTo('call', { payload: 1_700_000_000_000 }, {})
    for (const { payload } of await rig.until('heard', 2)) assert.deepEqual(payload, { success: true, message: '' })
  })

  const wrong: [string, Json][] = [
    ['a text', { payload: 'hi' }],
    ['nothing', {}],
    ['an unknown field', { payload: { c: 1 } }],
    ['a wrong value', { payload: { a: 'one' } }],
  ]
  for (const [title, message] of wrong) {
    it(`what cannot be asked is an error: ${title}`, async () => {
      const rig = await Rig.start(contextOf(DOMAIN), callOf())
      rig.sendTo('call', { _msgid: 'one', ...message })
      const [caught] = await rig.until('caught')
      assert.deepEqual([caught.error.code, caught._msgid], ['INVALID_INPUT', 'one'])
      assert.deepEqual([rig.seen.heard, rig.seen.completed], [[], []])
    })
  }

  it('where nobody is, and where nobody answers, the message fails with its own code', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), callOf({ timeoutMs: 100 }))
    rig.sendTo('call', { payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
    await rig.find('status', ({ id, text }) => id === 'call' && text === 'status.nobody')
    serve('/add', ADD, () => undefined)
    await rig.find('status', ({ id, text }) => id === 'call' && text === 'status.answered')
    rig.sendTo('call', { payload: {} })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'TIMEOUT')
  })

  it('messages fail when the node is closed, and none is left behind', async () => {
    serve('/add', ADD, () => new Promise(() => {}))
    const rig = await Rig.start(contextOf(DOMAIN), callOf())
    rig.sendTo('call', { payload: {} })
    await rig.find('status', ({ id, text }) => id === 'call' && text === 'status.pending')
    await rig.redeploy(contextOf(DOMAIN), callOf({ timeoutMs: 14_000 }))
    assert.equal((await rig.until('caught'))[0].error.code, 'CLOSED')
  })

  const bad: [string, Json[], string][] = [
    ['no context', [callOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['an unknown type', [contextOf(DOMAIN), callOf({ serviceType: 'a/srv/B' })], 'error.UNKNOWN_TYPE'],
    [
      'the type of a message',
      [contextOf(DOMAIN), callOf({ serviceType: 'std_msgs/msg/String' })],
      'error.INVALID_OPTION',
    ],
    ['no service', [contextOf(DOMAIN), callOf({ service: '' })], 'error.INVALID_OPTION'],
    ['no time', [contextOf(DOMAIN), callOf({ timeoutMs: 0 })], 'error.INVALID_OPTION'],
  ]
  for (const [title, nodes, text] of bad) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(...nodes)
      assert.equal((await rig.find('status', (one) => one.text === text)).fill, 'red')
      await rig.until('error')
      rig.sendTo('call', { payload: {} })
      assert.equal(`error.${(await rig.until('caught'))[0].error.code}`, text)
    })
  }

  it('the dialogs get the services that are there, and all types that are known', async () => {
    serve('/add', ADD, add)
    const rig = await Rig.start(contextOf(DOMAIN), serveOf({ ...TRIGGER, wires: [] }))
    for (;;) {
      const { body } = await rig.get('/millrace-ros2-context/ctx/graph')
      assert.ok(body.serviceTypes.includes('std_srvs/srv/SetBool'))
      assert.ok(body.topics.every(({ topic }: Json) => topic !== '/add'))
      if (body.services.length < 2) continue
      assert.deepEqual(body.services, [
        { service: '/add', types: [ADD] },
        { service: '/go', types: ['std_srvs/srv/Trigger'] },
      ])
      return
    }
  })
})
