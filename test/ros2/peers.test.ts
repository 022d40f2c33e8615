/**
 * Against other people's software: real ROS 2 Jazzy (rclpy over Fast DDS) and Eclipse Cyclone DDS, both
 * from PyPI. What we send comes back through their own types, and has to be the same. Loopback only.
 */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { ros2 } from '../../nodes'
import { Peer, peersSuite, python } from './peer'
import { contextOf, inOf, nativeIt, type Opened, openContext, outOf, Rig } from './rig'

const stamp = { sec: 1_700_000_000, nanosec: 123_456_789 }
const header = { stamp, frame_id: 'kamera_ü' }
const bytes = (count: number) =>
  Buffer.from(Array.from({ length: 251 }, (_, index) => index))
    .toString('latin1')
    .repeat(Math.ceil(count / 251))
    .slice(0, count)
const image = (count: number) => ({
  header,
  height: 1000,
  width: count / 1000,
  encoding: 'mono8',
  is_bigendian: 0,
  step: count / 1000,
  data: Buffer.from(bytes(count), 'latin1'),
})
const covariance = [1, 0, 0, 0, 1, 0, 0, 0, 0.001]

const wideTexts = {
  wstring_value: 'aü世😀',
  wstring_value_default1: '',
  wstring_value_default2: 'x'.repeat(1000),
  wstring_value_default3: 'ハロー',
  array_of_wstrings: ['a', '', '界'],
  bounded_sequence_of_wstrings: ['b', 'ü'],
  unbounded_sequence_of_wstrings: ['c', 'dd', 'eee'],
}

const basic = {
  bool_value: true,
  byte_value: 255,
  char_value: 100,
  float32_value: 0.5,
  float64_value: -1e300,
  int8_value: -128,
  uint8_value: 200,
  int16_value: -32768,
  uint16_value: 65535,
  int32_value: -(2 ** 31),
  uint32_value: 2 ** 32 - 1,
  int64_value: -(2n ** 63n),
  uint64_value: 2n ** 64n - 1n,
}

/** What test_msgs' types of lists have in common. Fields that are left out get their defaults, here and there. */
const lists = {
  bool_values: [true, false, true],
  byte_values: Buffer.from([0, 1, 255]),
  float32_values: [0, 0.5, -1],
  float64_values: [0, 1e-300, -1],
  int8_values: Buffer.from([0, 127, 128]),
  int16_values: [0, 1, -32768],
  uint32_values: [0, 1, 2 ** 32 - 1],
  int64_values: [0n, 1n, -(2n ** 63n)],
  string_values: ['', 'ä', 'zz'],
  basic_types_values: [basic, basic, basic],
  alignment_check: 7,
}

const messages: [string, string, Record<string, unknown>][] = [
  ['String', 'std_msgs/msg/String', { data: 'grüße, 世界' }],
  ['empty String', 'std_msgs/msg/String', { data: '' }],
  ['Empty', 'std_msgs/msg/Empty', {}],
  ['int64', 'std_msgs/msg/Int64', { data: -(2n ** 62n) }],
  [
    'Imu',
    'sensor_msgs/msg/Imu',
    {
      header,
      orientation: { x: 0.1, y: 0.2, z: 0.3, w: 0.9 },
      orientation_covariance: covariance,
      angular_velocity: { x: 1, y: 2, z: 3 },
      angular_velocity_covariance: covariance,
      linear_acceleration: { x: 0, y: -0.5, z: 9.81 },
      linear_acceleration_covariance: covariance,
    },
  ],
  [
    'PointCloud2',
    'sensor_msgs/msg/PointCloud2',
    {
      header,
      height: 1,
      width: 10_000,
      fields: ['x', 'y', 'z'].map((name, index) => ({ name, offset: 4 * index, datatype: 7, count: 1 })),
      is_bigendian: false,
      point_step: 12,
      row_step: 120_000,
      data: Buffer.from(bytes(120_000), 'latin1'),
      is_dense: true,
    },
  ],
  [
    'nested lists',
    'geometry_msgs/msg/PolygonStamped',
    { header, polygon: { points: [1, 2, 3].map((x) => ({ x, y: x * 2, z: 0.5 })) } },
  ],
  ['wide texts', 'test_msgs/msg/WStrings', wideTexts],
  ['plain types', 'test_msgs/msg/BasicTypes', basic],
  [
    'nested and bounded lists',
    'test_msgs/msg/MultiNested',
    {
      array_of_arrays: [lists, lists, lists],
      array_of_bounded_sequences: [lists, {}, lists],
      bounded_sequence_of_arrays: [lists],
      bounded_sequence_of_bounded_sequences: [lists, lists],
      unbounded_sequence_of_bounded_sequences: [lists],
      unbounded_sequence_of_unbounded_sequences: [{}, lists],
    },
  ],
  ['Image of 1 MB', 'sensor_msgs/msg/Image', image(1_000_000)],
  ['Image of 6 MB', 'sensor_msgs/msg/Image', image(6_000_000)],
]

/** With the defaults of what is left out. */
function whole(context: ros2.Context, type: string, message: object): object {
  const codec = new ros2.Codec(type, context.definitions.resolve(type))
  return codec.decode(codec.encode(message))
}

peersSuite('ros2 with peers', () => {
  describe('ROS 2 Jazzy', () => {
    const domain = 111
    let peer: Peer
    let node: Opened

    before(async () => {
      peer = await Peer.start('peer_rclpy.py', domain)
      const folders = [join(dirname(dirname(String(python))), 'share')]
      node = await openContext(domain, 'our_node', { folders })
    })

    after(async () => {
      await node?.context.close()
      await peer?.stop()
    })

    for (const [index, [title, type, message]] of messages.entries()) {
      it(`gives back ${title} as it was`, async () => {
        const [topic, back] = [`/to_ros${index}`, `/from_ros${index}`]
        await peer.ask({ echo: [topic, back, type, true] })
        const qos = { reliability: 'reliable', depth: 10 } as const
        const publisher = node.context.publish(topic, type, qos)
        let heard: (message: object) => void = () => {}
        const subscription = node.context.subscribe(back, type, (received) => heard(received.message), { qos })
        const at = (list: ros2.GraphEndpoint[], name: string) => list.some((endpoint) => endpoint.topic === name)
        await node.until(() => {
          const { publishers, subscriptions } = node.context.graph()
          return at(publishers, back) && at(subscriptions, topic) && publisher.matched() === 1
        })
        const returned = new Promise<object>((resolve) => {
          heard = resolve
        })
        // Its publisher may not have found our subscription yet, and that is for nobody to see: send until it has.
        const again = setInterval(() => publisher.send(message), 200)
        publisher.send(message)
        const result = await returned
        clearInterval(again)
        assert.deepEqual(result, type.startsWith('test_msgs') ? whole(node.context, type, message) : message)
        await subscription.close()
        await publisher.close()
      })
    }

    it('sees our node and what it publishes, and we see it', async () => {
      const publisher = node.context.publish('/ours', 'std_msgs/msg/String')
      type Told = { nodes: string[]; publishers: string[][] }
      let told: Told
      do told = (await peer.ask({ graph: '/ours' })) as Told
      while (told.publishers[0]?.[0] !== 'our_node')
      assert.deepEqual(told.publishers, [['our_node', 'std_msgs/msg/String']])
      assert.ok(told.nodes.includes('/our_node'))
      const { nodes, publishers } = node.context.graph()
      assert.ok(nodes.some(({ name }) => name === 'rclpy_peer'))
      assert.ok(publishers.some((endpoint) => endpoint.node?.name === 'rclpy_peer'))
      await publisher.close()
    })
  })

  describe('ROS 2 Jazzy, with another quality', () => {
    const domain = 158
    let peer: Peer

    before(async function () {
      if (!python) this.skip()
      peer = await Peer.start('peer_rclpy.py', domain)
      await peer.ask({ echo: ['/heard', '/said', 'std_msgs/msg/String', false] })
    })

    after(() => peer?.stop())
    afterEach(() => Rig.stop())

    it('says which policy keeps a subscription from its publisher', async () => {
      const rig = await Rig.start(contextOf(domain), inOf({ topic: '/said', qos: 'default' }))
      await rig.find('status', (one) => one.text === 'status.mismatch.reliability')
      assert.deepEqual(await rig.until('warn'), ['mismatch.reliability'])
    })

    it('says which policy keeps a subscription from what is latched', async () => {
      const rig = await Rig.start(
        contextOf(domain),
        inOf({ topic: '/said', qos: 'custom', reliability: 'best-effort', durability: 'transient-local', depth: 1 }),
      )
      await rig.find('status', (one) => one.text === 'status.mismatch.durability')
      assert.deepEqual(await rig.until('warn'), ['mismatch.durability'])
    })

    it('fits where the subscription asks for no more', async () => {
      const rig = await Rig.start(contextOf(domain), inOf({ topic: '/said', qos: 'sensor' }))
      await rig.find('status', (one) => one.text === 'status.rate')
      assert.deepEqual(rig.seen.warn, [])
    })
  })

  describe('Eclipse Cyclone DDS', () => {
    const domain = 159
    let peer: Peer | undefined

    beforeEach(async () => {
      peer = await Peer.start('peer_cyclone.py', domain)
    })

    afterEach(async () => {
      await Rig.stop()
      await peer?.stop()
    })

    nativeIt('says which policy it is where ROS 2 has no word for it', async () => {
      const rig = await Rig.start(contextOf(domain), inOf({ topic: '/exclusive', qos: 'sensor' }))
      assert.deepEqual(await rig.until('warn'), ['mismatch.policy'])
      const out = await openContext(domain, 'watcher')
      const subscription = out.context.subscribe('/exclusive', 'std_msgs/msg/String', () => {})
      await out.until(() => subscription.refused().policy !== null)
      assert.deepEqual(subscription.refused(), { count: 1, policy: 'ownership' })
      await subscription.close()
      await out.context.close()
    })

    nativeIt('gives back transforms', async () => {
      const { context, until } = await openContext(domain, 'our_node')
      const qos = { reliability: 'reliable', depth: 10 } as const
      const publisher = context.publish('/tf_to_peer', 'tf2_msgs/msg/TFMessage', qos)
      let heard: (message: object) => void = () => {}
      const type = 'tf2_msgs/msg/TFMessage'
      const subscription = context.subscribe('/tf_from_peer', type, (it) => heard(it.message), { qos })
      const there = () => context.graph().publishers.some(({ topic }) => topic === '/tf_from_peer')
      await until(() => there() && publisher.matched() === 1)
      const returned = new Promise<object>((resolve) => {
        heard = resolve
      })
      const transform = (child_frame_id: string) => ({
        header,
        child_frame_id,
        transform: { translation: { x: 1, y: -2, z: 0.5 }, rotation: { x: 0, y: 0, z: 0, w: 1 } },
      })
      const message = { transforms: ['a', 'arm_ü', ''].map(transform) }
      const again = setInterval(() => publisher.send(message), 200)
      assert.deepEqual(await returned, message)
      clearInterval(again)
      await subscription.close()
      await publisher.close()
      await context.close()
    })

    nativeIt('numbers its messages, and we tell', async () => {
      const qos = { qos: 'default', topic: '/to_peer' }
      const rig = await Rig.start(contextOf(domain), outOf(qos), inOf({ topic: '/from_peer', qos: 'default' }))
      const again = setInterval(() => rig.send({ payload: { data: 'hello' } }), 50)
      const [first, second] = await rig.until('heard', 2)
      clearInterval(again)
      assert.ok(first.ros2.sequence >= 1, first.ros2.sequence)
      assert.equal(second.ros2.sequence, first.ros2.sequence + 1)
    })

    it('gives back a text', async () => {
      const { context, until } = await openContext(domain, 'our_node')
      const qos = { reliability: 'reliable', depth: 10 } as const
      const publisher = context.publish('/to_peer', 'std_msgs/msg/String', qos)
      let heard: (message: object) => void = () => {}
      const subscription = context.subscribe('/from_peer', 'std_msgs/msg/String', (it) => heard(it.message), { qos })
      const there = () => context.graph().publishers.some(({ topic }) => topic === '/from_peer')
      await until(() => there() && publisher.matched() === 1)
      const returned = new Promise<object>((resolve) => {
        heard = resolve
      })
      const again = setInterval(() => publisher.send({ data: 'hello' }), 200)
      assert.deepEqual(await returned, { data: 'hello' })
      clearInterval(again)
      await subscription.close()
      await publisher.close()
      await context.close()
    })
  })
})
