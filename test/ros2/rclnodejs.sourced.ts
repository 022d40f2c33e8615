/** What is special to rclnodejs. Runs where a ROS 2 is sourced: see rclnodejs.test.ts. Loopback only. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ros2 } from '../../nodes'
import { Definitions } from '../../nodes/ros2/lib/definitions'
import type { RclNode } from '../../nodes/ros2/lib/rcl'
import { openCaller } from '../../nodes/ros2/lib/rclnodejs-services'
import { FIBONACCI, fibonacci } from './fibonacci'
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
    const publisher = talker.context.publish('/robot/chat', STRING, latched)
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
    // A publisher may be seen before it is known whose it is.
    await listener.until(() => {
      const { nodes, ...ends } = listener.context.graph()
      return nodes.length === 2 && ours({ nodes, ...ends })[0]?.node?.name === 'talker'
    })
    const graph = listener.context.graph()
    const names = graph.nodes.map(({ namespace, name }) => `${namespace} ${name}`)
    assert.deepEqual(names, ['/ talker', '/robot listener'])
    const [seen] = ours(graph)
    assert.deepEqual(
      [seen?.node, seen?.type, seen?.service],
      [{ namespace: '/', name: 'talker', own: false }, STRING, false],
    )
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
    const publisher = context.publish('/new', STRING)
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
    assert.throws(() => context.publish('/t', 'my_msgs/msg/Own'), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.subscribe('/t', 'my_msgs/msg/Own', () => {}), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.publish('/a b', STRING), { code: 'INVALID_OPTION' })
    assert.throws(() => context.publish('/t', STRING, { depth: -1 }), { code: 'INVALID_OPTION' })
    for (const time of ['deadlineMs', 'lifespanMs', 'leaseMs']) {
      assert.throws(() => context.publish('/t', STRING, { [time]: 10 }), { code: 'INVALID_OPTION' })
    }
    const publisher = context.publish('/t', STRING, { history: 'keep-all', liveliness: 'manual-by-topic' })
    assert.throws(() => publisher.send(Buffer.from([0, 1])), { code: 'INVALID_INPUT' })
    await publisher.close()
    await context.close()
  })

  describe('services', () => {
    const EMPTY = 'test_msgs/srv/Empty'
    const BASIC = 'test_msgs/srv/BasicTypes'
    const long = { timeoutMs: 15_000 }
    /** Our own server may miss a request, or its answer be lost, in the moment in which both find each other. */
    const callUntilHeard = async (from: ros2.Context, service: string, type: string, request: object) => {
      const client = from.client(service, type)
      await client.ready(long)
      for (;;) {
        try {
          const answer = await client.call(request, { timeoutMs: 1000 })
          await client.close()
          return answer
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'TIMEOUT')
        }
      }
    }
    const folders = [join(String(process.env.AMENT_PREFIX_PATH), 'share')]
    const stamp = { sec: -1, nanosec: 999_999_999 }
    const value = {
      ...{
        bool_array_value: [true, false],
        byte_array_value: Buffer.from([0, 127, 255]),
        double_array_value: [0, -1e300],
      },
      ...{ integer_array_value: [0n, 2n ** 53n, -(2n ** 63n)], string_array_value: ['', 'ü世😀', 'z'] },
    }
    const kinds: [type: string, request: object, response: object][] = [
      [
        BASIC,
        {
          ...{ bool_value: true, byte_value: 255, char_value: 127, float32_value: 0.5, float64_value: -1e300 },
          ...{ int8_value: -128, uint8_value: 200, int16_value: -32768, uint16_value: 65535, int32_value: -(2 ** 31) },
          ...{ uint32_value: 2 ** 32 - 1, int64_value: -(2n ** 63n), uint64_value: 2n ** 64n - 1n },
          string_value: 'ü世😀',
        },
        { uint64_value: 2n ** 64n - 1n, int8_value: -1, float32_value: -0.25 },
      ],
      [
        'rcl_interfaces/srv/SetParameters',
        { parameters: [{ name: 'a', value }, {}, { name: 'b', value: { type: 4, string_value: 'x' } }] },
        { results: [{ successful: true }, { reason: 'ü' }] },
      ],
      ['rcl_interfaces/srv/GetParameterTypes', { names: [] }, { types: Buffer.from([1, 0, 255]) }],
      [
        'sensor_msgs/srv/SetCameraInfo',
        { camera_info: { header: { stamp, frame_id: 'ü' }, k: [1, 2, 3, 4, 5, 6, 7, 8, 9.5], d: [0.1] } },
        { status_message: 'set' },
      ],
    ]

    for (const [type, request, response] of kinds) {
      it(`carry every field of ${type}, to and from our own transport`, async () => {
        const over = await openContext(DOMAIN, 'over', { folders })
        const own = await openContext(DOMAIN, 'own', { folders, transport: 'native' })
        const halves = over.context.definitions.resolveService(type)
        const whole = (half: 'request' | 'response', fields: object) => {
          const codec = new ros2.Codec(type, halves[half])
          return codec.decode(codec.encode(fields))
        }
        for (const [from, to] of [
          [over, own],
          [own, over],
        ] as const) {
          const asked: object[] = []
          const server = to.context.serve('/kinds', type, (fields) => {
            asked.push(fields)
            return response
          })
          assert.deepEqual(await callUntilHeard(from.context, '/kinds', type, request), whole('response', response))
          assert.deepEqual(asked.at(-1), whole('request', request))
          await server.close()
        }
        await Promise.all([over.context.close(), own.context.close()])
      })
    }

    it('hear a char as it is', async () => {
      const over = await openContext(DOMAIN, 'over', { folders })
      const own = await openContext(DOMAIN, 'own', { folders, transport: 'native' })
      const heard: unknown[] = []
      const server = over.context.serve('/char', BASIC, ({ char_value }) => {
        heard.push(char_value)
        return {}
      })
      await callUntilHeard(own.context, '/char', BASIC, { char_value: 200 })
      assert.equal(heard.at(-1), 200)
      await server.close()
      await Promise.all([over.context.close(), own.context.close()])
    })

    it('of other definitions than those of ROS 2 fail, and say so', async () => {
      const right = await openContext(DOMAIN, 'right', { folders })
      const wrong = await openContext(DOMAIN, 'wrong', { messages: { [BASIC]: 'bool bool_value\n---\nint8 less' } })
      const server = right.context.serve('/basic', BASIC, () => ({}))
      await assert.rejects(wrong.context.call('/basic', BASIC, {}, long), { code: 'INVALID_INPUT' })
      await server.close()
      const told = new Inbox<{ code: string }>()
      const refusing = wrong.context.serve('/other', BASIC, () => assert.fail('understood'), { onError: told.put })
      await assert.rejects(right.context.call('/other', BASIC, {}, { timeoutMs: 3000 }), { code: 'TIMEOUT' })
      assert.equal((await told.until(1))[0]?.code, 'INVALID_INPUT')
      assert.deepEqual(refusing.counts(), { received: 1, dropped: 1 })
      await Promise.all([right.context.close(), wrong.context.close()])
    })

    it('refuse what they do not have', async () => {
      const messages = { [BASIC]: 'Wide wide\n---', 'test_msgs/msg/Wide': 'wstring text' }
      const { context } = await openContext(DOMAIN, 'refusing', { messages })
      for (const [service, type, code] of [
        ['/any', 'example_interfaces/srv/AddTwoInts', 'UNKNOWN_TYPE'],
        ['/any', BASIC, 'INVALID_OPTION'],
        ['/a b', 'rcl_interfaces/srv/GetParameters', 'INVALID_OPTION'],
      ] as const) {
        assert.throws(() => context.client(service, type), { code })
        assert.throws(() => context.serve(service, type, () => {}), { code })
      }
      await context.close()
    })

    it('end with their context, and may be closed again', async () => {
      const { context } = await openContext(DOMAIN, 'brief', { folders })
      const asked = new Inbox<(response: object) => void>()
      const told = new Inbox<{ code: string }>()
      const handler = () => new Promise((resolve) => asked.put(resolve))
      const server = context.serve('/empty', EMPTY, handler, { onError: told.put })
      const client = context.client('/empty', EMPTY)
      const open = assert.rejects(client.call({}, { timeoutMs: 10_000 }), { code: 'CLOSED' })
      const [answer] = await asked.until(1)
      await context.close()
      answer?.({})
      assert.equal((await told.until(1))[0]?.code, 'CLOSED')
      assert.throws(() => client.isReady(), { code: 'CLOSED' })
      await Promise.all([client.close(), open])
      await Promise.all([server.close(), client.close()])
      assert.throws(() => context.client('/empty', EMPTY), { code: 'CLOSED' })
      assert.throws(() => context.serve('/empty', EMPTY, () => {}), { code: 'CLOSED' })
    })

    it('a process that ends without closing them ends well', async () => {
      const code = `require('tsx/cjs')
        const { ros2 } = require(${JSON.stringify(require.resolve('../../nodes'))})
        ros2.Context.open({ domain: ${DOMAIN}, discovery: 'localhost', transport: 'rclnodejs' }).then(async (context) => {
          const type = 'rcl_interfaces/srv/GetParameters'
          context.serve('/open', type, () => {})
          await context.client('/open', type).call({ names: ['a'] }, { timeoutMs: 500 }).catch(() => {})
          process.exit(7)
        })`
      const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit'] })
      assert.deepEqual(await once(child, 'exit'), [7, null])
    })

    it('forget calls that were given up, and say why one could not be sent', async () => {
      const signals: AbortSignal[] = []
      let fail: (reason: Error) => void = () => {}
      const client = {
        sendRequestAsync: (_: object, { signal }: { signal: AbortSignal }) => {
          signals.push(signal)
          return new Promise((_, reject) => {
            fail = reject
          })
        },
      }
      const node = { createClient: () => client, destroyClient: () => {} } as unknown as RclNode
      const home = { node, options: {}, isOver: () => false, now: () => 0n }
      const definitions = new Definitions({ folders }).resolveService(EMPTY)
      const ready = new Inbox<void>()
      const caller = openCaller(home, { service: '/a', type: EMPTY, definitions }, ready.put)
      const cdr = Buffer.from([0, 1, 0, 0, 0])
      const numbers = [caller.call(cdr), caller.call(cdr), caller.call(cdr)]
      caller.forget?.(numbers[0] as number)
      fail(new Error('no more room'))
      await ready.until(1)
      const { replies, more } = caller.take(2)
      assert.deepEqual(
        replies.map((reply) => [reply.call, 'error' in reply && reply.error.code]),
        [[numbers[2], 'TRANSPORT']],
      )
      assert.equal(more, false)
      await caller.close()
      assert.deepEqual(
        signals.map(({ aborted }) => aborted),
        [true, true, false],
      )
    })
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
    const publisher = context.publish('/t', STRING)
    const subscription = context.subscribe('/t', STRING, () => assert.fail('heard after its end'))
    const left = context.publish('/left', STRING)
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
    assert.throws(() => context.publish('/t', STRING), { code: 'CLOSED' })
    assert.throws(() => context.subscribe('/t', STRING, () => {}), { code: 'CLOSED' })
    await Promise.all([publisher.close(), left.close(), subscription.close(), sync.close(), context.close()])
  })

  it('has no actions, says so, and leaves nothing of them open', async () => {
    const { context } = await openContext(DOMAIN, 'idle', { messages: fibonacci })
    assert.throws(() => context.action('/count', FIBONACCI), { code: 'UNAVAILABLE' })
    assert.throws(() => context.serveAction('/count', FIBONACCI, () => ({})), { code: 'UNAVAILABLE' })
    const { publishers, subscriptions } = context.graph()
    const left = [...publishers, ...subscriptions].filter(({ topic }) => topic.startsWith('/count'))
    assert.deepEqual(left, [])
    await context.close()
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
      const publisher = context.publish('/t', STRING)
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
