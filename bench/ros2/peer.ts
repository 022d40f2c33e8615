/**
 * The library in a process of its own, one job a process, told as JSON in argv; answers over IPC.
 * hear: counts Imus, raw or decoded. say: sends Imus as fast as it can. images: sends images of a size at a rate. sync: two
 * cameras and a lidar, through `ros2.Synchronizer` or through three subscriptions and `sync.Synchronizer`.
 */
import { ros2, sync } from '../../nodes'

const IMU = 'sensor_msgs/msg/Imu'
const IMAGE = 'sensor_msgs/msg/Image'
const CLOUD = 'sensor_msgs/msg/PointCloud2'
const WARM_UP_MS = 500

interface Job {
  domain: number
  job: 'hear' | 'say' | 'images' | 'sync'
  topic?: string
  seconds: number
  decoded?: boolean
  reliable?: boolean
  bytes?: number
  hz?: number
  /** One frame of so many has a partner. */
  partner?: number
  inEngine?: boolean
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
    const cpu = process.cpuUsage()
    await pause(job.seconds * 1000)
    const seconds = (performance.now() - start) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const { received, dropped } = subscription.counts()
    return { rate: (count - before) / seconds, cpu: (user + system) / 1e6 / seconds, received, dropped, sum }
  },

  async say(context: ros2.Context): Promise<object> {
    const publisher = context.advertise(topic, IMU, qos)
    const message = { header: { stamp: 'auto', frame_id: 'imu' }, linear_acceleration: { x: 0, y: 0, z: 9.81 } }
    while (publisher.matched() === 0) await pause(5)
    tell({ ready: true })
    let count = 0
    let full = 0
    const start = performance.now()
    while (performance.now() - start < job.seconds * 1000) {
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

  async images(context: ros2.Context): Promise<object> {
    const isCloud = topic.includes('lidar')
    const publisher = context.advertise(topic, isCloud ? CLOUD : IMAGE, qos)
    const { bytes = 1, hz = 30, partner = 1 } = job
    const data = Buffer.alloc(bytes)
    while (publisher.matched() === 0) await pause(5)
    tell({ ready: true })
    // Senders keep the same clock, so that their frames meet.
    const start = Math.ceil((Date.now() + 1000) / 1000) * 1000
    let sent = 0
    for (; sent < job.seconds * hz; sent += 1) {
      const at = start + (sent * 1000) / hz
      await pause(Math.max(0, at - Date.now()))
      // Half a frame beside the others: beyond the window.
      const stamp = at + (sent % partner === 0 ? 0 : 500 / hz)
      const [sec, nanosec] = [Math.floor(stamp / 1000), Math.floor((stamp % 1000) * 1e6)]
      publisher.send({ header: { stamp: { sec, nanosec }, frame_id: 'x' }, data })
    }
    await pause(1000)
    return { sent }
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
    if (job.inEngine) {
      const synchronizer = new ros2.Synchronizer(context, { windowMs: 5 })
      for (const [name, type] of topics) synchronizer.addSubscription(type, name)
      received = () => synchronizer.stats().received
      synchronizer.onSynchronized((group) => {
        groups += 1
        for (const [name] of topics) sum += lengthOf(group.get(name))
      })
    } else {
      const names = topics.map(([name]) => name)
      const synchronizer = new sync.Synchronizer<ros2.Received>(names, { windowMs: 5 }, () => {})
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
      cpu: (user + system) / 1e6 / job.seconds,
      rssMb: rss / 2 ** 20,
      sum,
    }
  },
}

async function main(): Promise<void> {
  const context = await ros2.Context.open({ domain: job.domain, name: `bench_${process.pid}`, discovery: 'localhost' })
  tell({ result: await jobs[job.job](context) })
  process.exit()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
