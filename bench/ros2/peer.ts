/**
 * The library in a process of its own, one job a process, told as JSON in argv; answers over IPC.
 * hear: counts Imus, raw or decoded. delay: how long Imus were under way. say: sends Imus, as fast as it can, until it is told to stop. sync: two cameras and a
 * lidar, through `ros2.Synchronizer` or through three subscriptions and `sync.Synchronizer`.
 */
import { ros2, sync } from '../../nodes'

const IMU = 'sensor_msgs/msg/Imu'
const IMAGE = 'sensor_msgs/msg/Image'
const CLOUD = 'sensor_msgs/msg/PointCloud2'
const WARM_UP_MS = 500

interface Job {
  domain: number
  job: 'hear' | 'delay' | 'say' | 'sync'
  topic?: string
  seconds: number
  decoded?: boolean
  reliable?: boolean
  inEngine?: boolean
  /** Whether a group needs a cloud. */
  lidar?: boolean
  transport?: ros2.TransportChoice
}

const job: Job = JSON.parse(process.argv[2] as string)
const topic = job.topic ?? '/bench'
const qos: ros2.Qos = job.reliable ? { reliability: 'reliable', depth: 1000 } : {}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const tell = (value: object) => process.send?.(value)

const lengthOf = (received: ros2.Received | undefined) => (received?.message.data as Buffer | undefined)?.length ?? 0

const jobs = {
  async hear(context: ros2.Context): Promise<object> {
    let count = 0
    let sum = 0
    let first = 0
    let last = 0
    const subscription = context.subscribe(
      topic,
      IMU,
      (received) => {
        count += 1
        if (job.decoded) sum += (received.message.linear_acceleration as { z: number }).z
        else sum += received.cdr.length
        last = performance.now()
        first ||= last
      },
      { qos },
    )
    tell({ ready: true })
    while (first === 0) await pause(5)
    await pause(WARM_UP_MS)
    const [before, start] = [count, performance.now()]
    const droppedBefore = subscription.counts().dropped
    const cpu = process.cpuUsage()
    await pause(job.seconds * 1000)
    const seconds = (performance.now() - start) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const dropped = (subscription.counts().dropped - droppedBefore) / seconds
    return { rate: (count - before) / seconds, cpu: (user + system) / 1e6 / seconds, dropped, sum }
  },

  async delay(context: ros2.Context): Promise<object> {
    const delays: number[] = []
    const hear = ({ message }: ros2.Received) => {
      const { sec, nanosec } = (message.header as { stamp: { sec: number; nanosec: number } }).stamp
      delays.push(performance.timeOrigin + performance.now() - sec * 1000 - nanosec / 1e6)
    }
    const subscription = context.subscribe(topic, IMU, hear, { qos })
    tell({ ready: true })
    while (delays.length === 0) await pause(5)
    await pause(WARM_UP_MS)
    delays.length = 0
    await pause(job.seconds * 1000)
    const { dropped } = subscription.counts()
    delays.sort((a, b) => a - b)
    const at = (part: number) => delays[Math.floor(delays.length * part)]
    return { p50: at(0.5), p99: at(0.99), dropped }
  },

  async say(context: ros2.Context): Promise<object> {
    const publisher = context.publish(topic, IMU, qos)
    const message = { header: { stamp: 'auto', frame_id: 'imu' }, linear_acceleration: { x: 0, y: 0, z: 9.81 } }
    while (publisher.matched() === 0) await pause(5)
    let stopped = false
    process.once('message', () => {
      stopped = true
    })
    tell({ ready: true })
    let count = 0
    let full = 0
    const start = performance.now()
    while (!stopped && performance.now() - start < job.seconds * 1000) {
      for (let turn = 0; turn < 100; turn += 1) {
        try {
          publisher.send(message)
          count += 1
        } catch {
          full += 1
        }
      }
      await new Promise(setImmediate)
    }
    return { rate: count / ((performance.now() - start) / 1000), full }
  },

  async sync(context: ros2.Context): Promise<object> {
    const topics: [string, string][] = [
      ['/left', IMAGE],
      ['/right', IMAGE],
      ['/lidar', CLOUD],
    ]
    let groups = 0
    let sum = 0
    let received = () => 0
    const needs = (name: string) => job.lidar === true || name !== '/lidar'
    if (job.inEngine) {
      const synchronizer = new ros2.Synchronizer(context, { windowMs: 5 })
      for (const [name, type] of topics) synchronizer.addSubscription(type, name, {}, { required: needs(name) })
      received = () => synchronizer.stats().received
      synchronizer.onSynchronized((group) => {
        groups += 1
        for (const [name] of topics) sum += lengthOf(group.get(name))
      })
    } else {
      const names = topics.map(([name]) => name)
      const options = { windowMs: 5, required: names.filter(needs) }
      const synchronizer = new sync.Synchronizer<ros2.Received>(names, options, () => {})
      let heard = 0
      received = () => heard
      for (const [name, type] of topics) {
        context.subscribe(name, type, (frame) => {
          heard += 1
          const { sec, nanosec } = (frame.message.header as { stamp: { sec: number; nanosec: number } }).stamp
          synchronizer.push(name, BigInt(sec) * 1_000_000_000n + BigInt(nanosec), frame)
          for (let group = synchronizer.poll(); group; group = synchronizer.poll()) {
            groups += 1
            for (const each of names) sum += lengthOf(group.get(each))
          }
        })
      }
    }
    tell({ ready: true })
    while (groups === 0) await pause(5)
    const cpu = process.cpuUsage()
    const start = performance.now()
    const [before, frames] = [groups, received()]
    let rss = 0
    while (performance.now() - start < job.seconds * 1000) {
      await pause(100)
      rss = Math.max(rss, process.memoryUsage().rss)
    }
    const { user, system } = process.cpuUsage(cpu)
    return {
      groups: groups - before,
      frames: received() - frames,
      cpuSeconds: (user + system) / 1e6,
      rssMb: rss / 2 ** 20,
      sum,
    }
  },
}

async function main(): Promise<void> {
  const { domain, transport = 'native' } = job
  const context = await ros2.Context.open({ domain, transport, name: `bench_${process.pid}`, discovery: 'localhost' })
  tell({ result: await jobs[job.job](context) })
  process.exit()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
