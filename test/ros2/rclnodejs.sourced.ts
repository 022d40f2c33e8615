/** What is special to rclnodejs. Runs where a ROS 2 is sourced: see rclnodejs.test.ts. Loopback only. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { ros2 } from '../../nodes'
import { Inbox, openContext } from './rig'

const DOMAIN = 131
const STRING = 'std_msgs/msg/String'
const latched: ros2.Qos = { reliability: 'reliable', durability: 'transient-local', depth: 10 }

describe('ros2 in a sourced ROS 2', () => {
  it('is chosen by itself, and leaves the process as it was', async () => {
    const [listeners, environment] = [process.listeners('SIGINT'), { ...process.env }]
    const context = await ros2.Context.open({ domain: DOMAIN, discovery: 'localhost', peers: ['127.0.0.1'] })
    assert.deepEqual(context.transport, { name: 'rclnodejs' })
    assert.deepEqual(process.listeners('SIGINT'), listeners)
    assert.deepEqual({ ...process.env }, environment)
    await context.close()
  })

  it('a talker is heard, and both see each other', async () => {
    const talker = await openContext(DOMAIN, 'talker')
    const listener = await openContext(DOMAIN, 'listener', { namespace: '/robot' })
    const stranger = await openContext(DOMAIN + 1, 'stranger')
    const inbox = new Inbox<ros2.Received>()
    const publisher = talker.context.advertise('/robot/chat', STRING, latched)
    const subscription = listener.context.subscribe('chat', 'std_msgs/String', inbox.put, { qos: latched })
    const elsewhere = stranger.context.subscribe('/robot/chat', STRING, () => assert.fail(), { qos: latched })
    await talker.until(() => publisher.matched() === 1)
    const cdr = Buffer.from([0, 1, 0, 0, 2, 0, 0, 0, 0x78, 0])
    publisher.send({ data: 'hello' })
    publisher.send(cdr)
    const [first, second] = await inbox.until(2)
    assert.deepEqual(first?.message, { data: 'hello' })
    assert.deepEqual([second?.cdr, second?.sourceNs, second?.publisher], [cdr, undefined, undefined])
    assert.ok(first && second && second.receivedNs > first.receivedNs)
    assert.deepEqual(subscription.counts(), { received: 2, dropped: 0 })

    const ours = ({ publishers }: ros2.Graph) => publishers.filter(({ topic }) => topic === '/robot/chat')
    await listener.until(() => ours(listener.context.graph()).length === 1)
    const graph = listener.context.graph()
    const names = graph.nodes.map(({ namespace, name }) => `${namespace} ${name}`)
    assert.deepEqual(names, ['/ talker', '/robot listener'])
    const [seen] = ours(graph)
    assert.deepEqual([seen?.node, seen?.type, seen?.service], [{ namespace: '/', name: 'talker' }, STRING, false])
    assert.match(seen?.gid ?? '', /^[0-9a-f]{32}$/)
    assert.deepEqual(
      [seen?.qos.reliability, seen?.qos.durability, seen?.qos.deadlineMs, seen?.qos.leaseMs],
      ['reliable', 'transient-local', null, null],
    )

    await publisher.close()
    await listener.until(() => ours(listener.context.graph()).length === 0)
    await Promise.all([subscription.close(), elsewhere.close()])
    await Promise.all([talker.context.close(), listener.context.close(), stranger.context.close()])
  })

  it('tells when the graph changes', async () => {
    let changed: () => void = () => {}
    const context = await ros2.Context.open({ domain: DOMAIN, discovery: 'localhost' }, () => changed())
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    const publisher = context.advertise('/new', STRING)
    await change
    await publisher.close()
    await context.close()
  })

  it('shows services as requests and replies', async () => {
    // A node with the services that every node has unless it is told otherwise.
    const rcl = require('rclnodejs')
    const domain = new rcl.Context(BigInt(DOMAIN))
    process.env.ROS_AUTOMATIC_DISCOVERY_RANGE = 'LOCALHOST'
    await rcl.init(domain, [])
    delete process.env.ROS_AUTOMATIC_DISCOVERY_RANGE
    const node = new rcl.Node('server', '/', domain)
    const client = node.createClient('rcl_interfaces/srv/GetParameters', '/asked')
    const { context, until } = await openContext(DOMAIN, 'observer')
    const heard = (topic: string) => context.graph().subscriptions.filter((one) => one.topic === topic)
    await until(() => heard('/server/get_parameters').length === 1 && heard('/asked').length === 1)
    const type = 'rcl_interfaces/srv/GetParameters'
    assert.deepEqual(
      [heard('/server/get_parameters')[0]?.type, heard('/asked')[0]?.type, heard('/asked')[0]?.service],
      [`${type}_Request`, `${type}_Response`, true],
    )
    node.destroyClient(client)
    await context.close()
    domain.tryShutdown()
  })

  it('refuses what it does not have', async () => {
    const { context } = await openContext(DOMAIN, 'own', { messages: { 'my_msgs/msg/Own': 'uint8 a' } })
    const sync = new ros2.Synchronizer(context)
    sync.addSubscription(STRING, '/t')
    sync.addSubscription('my_msgs/msg/Own', '/own')
    assert.throws(() => sync.onSynchronized(() => {}), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.advertise('/t', 'my_msgs/msg/Own'), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.subscribe('/t', 'my_msgs/msg/Own', () => {}), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.advertise('/a b', STRING), { code: 'INVALID_OPTION' })
    assert.throws(() => context.advertise('/t', STRING, { depth: -1 }), { code: 'INVALID_OPTION' })
    for (const time of ['deadlineMs', 'lifespanMs', 'leaseMs']) {
      assert.throws(() => context.advertise('/t', STRING, { [time]: 10 }), { code: 'INVALID_OPTION' })
    }
    const publisher = context.advertise('/t', STRING, { history: 'keep-all', liveliness: 'manual-by-topic' })
    assert.throws(() => publisher.send(Buffer.from([0, 1])), { code: 'INVALID_INPUT' })
    await publisher.close()
    await context.close()
  })

  const wrong: [string, object][] = [
    ['a domain that does not exist', { domain: 233 }],
    ['a name that is none', { name: 'a b' }],
    ['a namespace that is none', { namespace: 'robot' }],
    ['a discovery that does not exist', { discovery: 'far' }],
    ['peers that are several', { peers: ['127.0.0.1;127.0.0.2'] }],
    ['an option that does not exist', { domian: 1 }],
  ]
  for (const [title, options] of wrong) {
    it(`refuses ${title}`, () => assert.rejects(openContext(DOMAIN, 'wrong', options), { code: 'INVALID_OPTION' }))
  }

  it('a middleware that is not there is said', async () => {
    const before = process.env.ROS_DOMAIN_ID
    process.env.ROS_DOMAIN_ID = 'nowhere'
    await assert.rejects(ros2.Context.open({ discovery: 'localhost' }), { code: 'TRANSPORT' })
    if (before === undefined) delete process.env.ROS_DOMAIN_ID
    else process.env.ROS_DOMAIN_ID = before
  })

  it('what is closed says so, and may be closed again', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const publisher = context.advertise('/t', STRING)
    const subscription = context.subscribe('/t', STRING, () => assert.fail('heard after its end'))
    const left = context.advertise('/left', STRING)
    const sync = new ros2.Synchronizer(context)
    sync.addSubscription(STRING, '/a')
    sync.addSubscription(STRING, '/b')
    sync.onSynchronized(() => {})
    await subscription.close()
    publisher.send({ data: 'nobody' })
    await publisher.close()
    await context.close()
    assert.throws(() => publisher.send({ data: 'x' }), { code: 'CLOSED' })
    assert.throws(() => left.send({ data: 'x' }), { code: 'CLOSED' })
    assert.throws(() => left.matched(), { code: 'CLOSED' })
    assert.throws(() => context.graph(), { code: 'CLOSED' })
    assert.throws(() => context.advertise('/t', STRING), { code: 'CLOSED' })
    assert.throws(() => context.subscribe('/t', STRING, () => {}), { code: 'CLOSED' })
    await Promise.all([publisher.close(), left.close(), subscription.close(), sync.close(), context.close()])
  })

  it('its end loses nothing of the event loop', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { context } = await openContext(DOMAIN, 'brief')
      const inbox = new Inbox<number>()
      let closed: Promise<void> | undefined
      setImmediate(() => inbox.put(1))
      setImmediate(() => {
        closed = context.close()
        setImmediate(() => inbox.put(2))
      })
      setImmediate(() => setImmediate(() => setImmediate(() => inbox.put(3))))
      await inbox.until(3)
      await closed
    }
  })

  it('30 contexts leave no thread and no file behind', async () => {
    const round = async () => {
      const { context } = await openContext(DOMAIN, 'brief')
      const publisher = context.advertise('/t', STRING)
      const subscription = context.subscribe('/t', STRING, () => {})
      await Promise.all([publisher.close(), subscription.close()])
      await context.close()
    }
    const counted = () => ['task', 'fd'].map((folder) => readdirSync(`/proc/self/${folder}`).length)
    await round()
    const [threads = 0, files = 0] = counted()
    for (let place = 0; place < 30; place += 1) await round()
    const [threadsAfter = 0, filesAfter = 0] = counted()
    assert.ok(threadsAfter < threads + 10, `${threads} threads became ${threadsAfter}`)
    assert.ok(filesAfter < files + 10, `${files} files became ${filesAfter}`)
  })
})
