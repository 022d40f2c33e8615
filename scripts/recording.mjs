// Makes the recording that comes along for the examples: `node scripts/recording.mjs`, after a build. Everything in it
// is simulated: a robot that turns in a room for six seconds, with a camera, a lidar and an IMU whose clocks jitter, and
// that lose messages now and then. The same seed always makes the same file.
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { inside } from './lib/files.mjs'

const { ros2 } = createRequire(import.meta.url)(inside('dist/index.js'))
const SEED = 20_26
const START_NS = 1_760_000_000_000_000_000n
const SECONDS = 6
const TURN = (2 * Math.PI) / SECONDS
const path = process.argv[2] ?? inside('examples/ros2/camera-lidar-imu.mcap')

/** Numbers from 0 to 1 (mulberry32). */
let state = SEED
function random() {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const between = (from, to) => from + (to - from) * random()

const sensors = [
  {
    topic: '/camera/image',
    type: 'sensor_msgs/msg/Image',
    frame: 'camera',
    ...{ hz: 30, jitterMs: 4, latencyMs: [6, 14], loss: 0.06 },
    make(seconds) {
      const [height, width] = [12, 16]
      const data = Buffer.alloc(height * width)
      // A bright pillar passes by as the robot turns.
      const pillar = width * (0.5 + 0.5 * Math.sin(TURN * seconds))
      for (let place = 0; place < data.length; place += 1) {
        data[place] = Math.round(40 + 180 * Math.exp(-(((place % width) - pillar) ** 2) / 4) + between(0, 16))
      }
      return { height, width, encoding: 'mono8', step: width, data }
    },
  },
  {
    topic: '/scan',
    type: 'sensor_msgs/msg/LaserScan',
    frame: 'lidar',
    ...{ hz: 10, jitterMs: 6, latencyMs: [12, 30], loss: 0.04 },
    make(seconds) {
      const count = 36
      const step = (2 * Math.PI) / count
      // The walls of a room of 6 m by 4 m, seen from its middle.
      const ranges = Array.from({ length: count }, (_, place) => {
        const angle = -Math.PI + place * step + TURN * seconds
        return Math.min(3 / Math.abs(Math.cos(angle)), 2 / Math.abs(Math.sin(angle))) + between(-0.02, 0.02)
      })
      const angles = { angle_min: -Math.PI, angle_max: Math.PI - step, angle_increment: step }
      return { ...angles, scan_time: 0.1, range_min: 0.1, range_max: 12, ranges }
    },
  },
  {
    topic: '/imu',
    type: 'sensor_msgs/msg/Imu',
    frame: 'imu',
    ...{ hz: 50, jitterMs: 1, latencyMs: [1, 3], loss: 0.02 },
    make(seconds) {
      const half = (TURN * seconds) / 2
      return {
        orientation: { x: 0, y: 0, z: Math.sin(half), w: Math.cos(half) },
        angular_velocity: { x: between(-0.01, 0.01), y: between(-0.01, 0.01), z: TURN + between(-0.02, 0.02) },
        linear_acceleration: { x: between(-0.1, 0.1), y: between(-0.1, 0.1), z: 9.81 + between(-0.1, 0.1) },
      }
    },
  },
]

const definitions = new ros2.Definitions({ folders: [] })
const messages = sensors
  .flatMap(({ topic, type, frame, hz, jitterMs, latencyMs, loss, make }) => {
    const codec = new ros2.Codec(type, definitions.resolve(type))
    return Array.from({ length: hz * SECONDS }, (_, place) => {
      const seconds = place / hz + between(-jitterMs, jitterMs) / 1000 + 0.01
      const stampNs = START_NS + BigInt(Math.round(seconds * 1e9))
      const stamp = { sec: Number(stampNs / 1_000_000_000n), nanosec: Number(stampNs % 1_000_000_000n) }
      const cdr = codec.encode({ header: { stamp, frame_id: frame }, ...make(seconds) })
      const logNs = stampNs + BigInt(Math.round(between(...latencyMs) * 1e6))
      return { topic, type, cdr, logNs, stampNs, lost: random() < loss }
    }).filter(({ lost }) => !lost)
  })
  .sort((a, b) => Number(a.logNs - b.logNs))

rmSync(path, { force: true })
const writer = await ros2.BagWriter.open(path, { folders: [], chunkBytes: 32 * 1024, flushMs: 60_000 })
for (const { topic, type, cdr, logNs, stampNs } of messages) writer.write(topic, type, cdr, logNs, stampNs)
await writer.close()
const { messages: count, bytes } = writer.stats()
console.log(`${path}: ${count} messages, ${bytes} bytes`)
