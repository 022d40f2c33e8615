/**
 * Against other people's software: real ROS 2 Jazzy (rclpy over Fast DDS) and Eclipse Cyclone DDS, both
 * from PyPI. What we send comes back through their own types, and has to be the same. Loopback only.
 */
import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { Peer, peersSuite } from './peer'
import { type Opened, openContext } from './rig'

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
  ['Image of 1 MB', 'sensor_msgs/msg/Image', image(1_000_000)],
  ['Image of 6 MB', 'sensor_msgs/msg/Image', image(6_000_000)],
]

peersSuite('ros2 with peers', () => {
  describe('ROS 2 Jazzy', () => {
    const domain = 111
    let peer: Peer
    let node: Opened

    before(async () => {
      peer = await Peer.start('peer_rclpy.py', domain)
      node = await openContext(domain, 'our_node')
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
        const publisher = node.context.advertise(topic, type, qos)
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
        assert.deepEqual(result, message)
        await subscription.close()
        await publisher.close()
      })
    }

    it('sees our node and what it publishes, and we see it', async () => {
      const publisher = node.context.advertise('/ours', 'std_msgs/msg/String')
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

  describe('Eclipse Cyclone DDS', () => {
    it('gives back a text', async () => {
      const domain = 112
      const peer = await Peer.start('peer_cyclone.py', domain)
      const { context, until } = await openContext(domain, 'our_node')
      const qos = { reliability: 'reliable', depth: 10 } as const
      const publisher = context.advertise('/to_peer', 'std_msgs/msg/String', qos)
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
      await peer.stop()
    })
  })
})
