/**
 * ros2 beside rclpy (real ROS 2 Jazzy, Fast DDS), in one run: how soon, how fast, how much. Loopback only; each side is a
 * process of its own. Wires are those of a Node-RED as it is installed. Short by default; MILLRACE_LONG=1 takes the full
 * times; MILLRACE_BENCH names the parts to run (first, latency, small, out, images, sync, library). Beside our own DDS,
 * `rclnodejs` is measured where it is in the cache.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Json, nodeRed, Runtime, root } from '../test/runtime/harness'
import { median } from './lib/figures'

const long = process.env.MILLRACE_LONG === '1'
const ROUNDS = long ? 7 : 3
const cached = join(root, '.cache/ros2-jazzy/bin/python')
const python = process.env.MILLRACE_ROS2_PYTHON ?? (existsSync(cached) ? cached : undefined)
/** The environment of a ROS 2 with `rclnodejs`. */
let sourced: NodeJS.ProcessEnv | undefined
const DOMAIN = Number(process.env.MILLRACE_BENCH_DOMAIN ?? 158)
const IMAGE = 'sensor_msgs/msg/Image'
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A process that answers with JSON: the library's over IPC, Python's in lines. */
class Peer {
  private readonly answers: Json[] = []
  private wake: () => void = () => {}

  private constructor(private readonly child: ChildProcess) {
    child.on('exit', () => this.wake())
  }

  static ours(job: Json): Peer {
    const args = [JSON.stringify({ domain: DOMAIN, ...job })]
    const env = { ...process.env, ...(job.transport === 'rclnodejs' && sourced) }
    const peer = new Peer(fork(join(__dirname, 'ros2/peer.ts'), args, { execArgv: ['--import', 'tsx'], env }))
    peer.child.on('message', (value) => peer.take(value as Json))
    return peer
  }

  static rclpy(script: string, ...args: (string | number)[]): Peer {
    const env = {
      ...process.env,
      ROS_DOMAIN_ID: String(DOMAIN),
      ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST',
      RMW_IMPLEMENTATION: 'rmw_fastrtps_cpp',
    }
    const child = spawn(python as string, [join(__dirname, 'ros2', script), ...args.map(String)], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const peer = new Peer(child)
    // Whoever is not eager is waited for until it has found the other side.
    const isNews = ({ up }: Json) => !up || args.includes('eager')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line)
      if (isNews(said)) peer.take(said)
    })
    return peer
  }

  /** What it says next. */
  async next<T = Record<string, number>>(): Promise<T> {
    while (this.answers.length === 0) {
      if (this.child.exitCode !== null) throw new Error(`a peer ended early (${this.child.exitCode})`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.answers.shift() as T
  }

  async result(): Promise<Record<string, number>> {
    const { result } = await this.next<{ result: Record<string, number> }>()
    return result
  }

  /** What it has done until now. */
  async end(): Promise<Record<string, number>> {
    this.child.send('stop')
    return this.result()
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }

  private take(value: Json): void {
    this.answers.push(value)
    this.wake()
  }
}

interface Seen {
  count: number
  groups: number
  p50: number
  p99: number
  rssMb: number
  cpuSeconds: number
}

/** A Node-RED with these nodes, the last of them wired to nothing. */
function hearing(nodes: Json[]): Promise<Runtime> {
  const wire = JSON.stringify(join(__dirname, 'ros2/wire.cjs'))
  return Runtime.boot({
    settings: `wire: require(${wire})(${JSON.stringify(nodeRed)}),`,
    flows: [
      { id: 'tab', type: 'tab' },
      { id: 'ctx', type: 'millrace-ros2-context', domain: String(DOMAIN), discovery: 'localhost', transport: 'native' },
      ...nodes.map((node) => ({ z: 'tab', x: 0, y: 0, context: 'ctx', ...node })),
      { id: 'end', z: 'tab', type: 'junction', x: 0, y: 0, wires: [[]] },
    ],
  })
}

/** A Node-RED that listens to one topic. */
function listening(topic: string, messageType: string): Promise<Runtime> {
  return hearing([{ id: 'in', type: 'millrace-ros2-in', topic, messageType, qos: 'sensor', wires: [['end']] }])
}

const CAMERAS: [string, string][] = [
  ['/left', IMAGE],
  ['/right', IMAGE],
  ['/lidar', 'sensor_msgs/msg/PointCloud2'],
]

/** A Node-RED that hears the cameras and the lidar: with one node, or with one each and the sync node. */
function gathering(inEngine: boolean, lidar: boolean): Promise<Runtime> {
  const topics = CAMERAS.map(([topic, messageType]) => {
    return { topic, messageType, qos: 'sensor', required: lidar || topic !== '/lidar', minPeriodMs: '' }
  })
  const matching = { topics, windowMs: '5', wires: [['end'], ['end']] }
  if (inEngine) return hearing([{ id: 'sync', type: 'millrace-ros2-sync', ...matching }])
  const listeners = CAMERAS.map(([topic, messageType], place) => {
    return { id: `in${place}`, type: 'millrace-ros2-in', topic, messageType, qos: 'sensor', wires: [['sync']] }
  })
  return hearing([...listeners, { id: 'sync', type: 'millrace-sync', ...matching }])
}

async function seen(runtime: Runtime): Promise<Seen> {
  const answered = new Promise<Seen>((resolve) => {
    const hear = ({ bench }: { bench?: Seen }) => {
      if (!bench) return
      runtime.process.off('message', hear)
      resolve(bench)
    }
    runtime.process.on('message', hear)
  })
  runtime.process.send({ bench: true })
  return answered
}

function row(label: string, values: number[], unit: string, rest = ''): void {
  const text = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2))
  const spread = values.length > 1 ? `  (${text(Math.min(...values))}–${text(Math.max(...values))})` : ''
  console.log(`${label.padEnd(66)}${text(median(values)).padStart(9)} ${unit}${spread}${rest}`)
}

const times = async <T>(count: number, make: () => Promise<T>): Promise<T[]> => {
  const all: T[] = []
  for (let turn = 0; turn < count; turn += 1) all.push(await make())
  return all
}

const parts = {
  async first() {
    const took = await times(ROUNDS, async () => {
      const runtime = await listening('/first', 'std_msgs/msg/String')
      await seen(runtime)
      const peer = Peer.rclpy('sender.py', '/first', 'std_msgs/msg/String', 20, 200, 3, 0, 'eager')
      await peer.next()
      const start = performance.now()
      while ((await seen(runtime)).count === 0) await pause(5)
      const ms = performance.now() - start
      await peer.stop()
      await runtime.remove()
      return ms
    })
    row('first message on a wire after both sides are up', took, 'ms')
  },

  async latency() {
    for (const type of ['std_msgs/msg/String', 'sensor_msgs/msg/Imu']) {
      const runtime = await listening('/latency', type)
      const results = await times(ROUNDS, async () => {
        const peer = Peer.rclpy('sender.py', '/latency', type, 20, 100, long ? 10 : 3, 0)
        await peer.next()
        await pause(200)
        await seen(runtime)
        await peer.next()
        const result = await seen(runtime)
        await peer.stop()
        return result
      })
      row(
        `${type}, 100 Hz, rclpy to a wire, p50`,
        results.map(({ p50 }) => p50),
        'ms',
      )
      row(
        `${type}, 100 Hz, rclpy to a wire, p99`,
        results.map(({ p99 }) => p99),
        'ms',
      )
      await runtime.remove()

      const theirs = await times(ROUNDS, async () => {
        const receiver = Peer.rclpy('receiver.py', '/latency', type, 6)
        await receiver.next()
        const sender = Peer.rclpy('sender.py', '/latency', type, 20, 100, 3, 0)
        const { p50Ms = Number.NaN } = await receiver.next()
        await Promise.all([receiver.stop(), sender.stop()])
        return p50Ms
      })
      row(`  rclpy to rclpy, p50`, theirs, 'ms')
    }
    for (const transport of sourced ? ['native', 'rclnodejs'] : ['native']) {
      const results = await times(ROUNDS, async () => {
        const receiver = Peer.ours({ job: 'delay', seconds: long ? 10 : 3, transport })
        await receiver.next()
        const sender = Peer.rclpy('sender.py', '/bench', 'sensor_msgs/msg/Imu', 0, 100, 60, 0)
        const result = await receiver.result()
        await Promise.all([receiver.stop(), sender.stop()])
        return result
      })
      const title = `Imu, 100 Hz, rclpy to the library's callback, ${transport}`
      for (const part of ['p50', 'p99']) {
        const of = (name: string) => results.map((it) => it[name] ?? Number.NaN)
        row(`${title}, ${part}`, of(part), 'ms', `  ${median(of('dropped'))} dropped`)
      }
    }
  },

  async small() {
    const seconds = long ? 10 : 3
    for (const transport of sourced ? ['native', 'rclnodejs'] : ['native']) {
      for (const decoded of [true, false]) {
        for (const from of ['our library', 'rclpy']) {
          const rates = await times(ROUNDS, async () => {
            const receiver = Peer.ours({ job: 'hear', decoded, seconds, transport })
            await receiver.next()
            const sender =
              from === 'rclpy'
                ? Peer.rclpy('sender.py', '/bench', 'sensor_msgs/msg/Imu', 0, 0, seconds + 2, 0)
                : Peer.ours({ job: 'say', seconds: seconds + 30 })
            await sender.next()
            const result = await receiver.result()
            const said = from === 'rclpy' ? await sender.next() : await sender.end()
            await Promise.all([receiver.stop(), sender.stop()])
            return { ...result, sent: said.rate ?? (said.sent as number) / (said.seconds as number) }
          })
          const of = (name: string) => median(rates.map((it) => (it as Record<string, number>)[name] as number))
          row(
            `Imu in, ${transport}, ${decoded ? 'decoded' : 'raw'}, one process of ${from} sends`,
            rates.map((it) => (it as Record<string, number>).rate as number),
            '/s',
            `  of ${Math.round(of('sent'))} sent, ${Math.round(of('dropped'))} dropped here, ${of('cpu').toFixed(2)} cores`,
          )
        }
      }
    }
    const theirs = await times(ROUNDS, async () => {
      const receiver = Peer.rclpy('receiver.py', '/bench', 'sensor_msgs/msg/Imu', seconds + 3)
      await receiver.next()
      const sender = Peer.ours({ job: 'say', seconds: seconds + 5 })
      const result = await receiver.next()
      await Promise.all([receiver.stop(), sender.stop()])
      return (result.count as number) / (result.seconds as number)
    })
    row('  rclpy receives from our library', theirs, '/s')
  },

  async out() {
    const seconds = long ? 10 : 3
    for (const reliable of [false, true]) {
      const rates = await times(ROUNDS, async () => {
        const receiver = Peer.ours({ job: 'hear', seconds: seconds + 5, reliable })
        await receiver.next()
        const sender = Peer.ours({ job: 'say', seconds, reliable })
        await sender.next()
        const { rate = 0 } = await sender.result()
        await Promise.all([receiver.stop(), sender.stop()])
        return rate
      })
      row(`Imu out, encoded from objects, ${reliable ? 'reliable' : 'best effort'}`, rates, '/s')
    }
  },

  async images() {
    for (const [bytes, hz, full] of [
      [1_000_000, 30, 60],
      [6_000_000, 20, 30],
    ] as const) {
      const runtime = await listening('/image', IMAGE)
      const peer = Peer.rclpy('sender.py', '/image', IMAGE, bytes, hz, long ? full : 5, 0)
      await peer.next()
      const { sent } = await peer.next()
      await pause(1000)
      const { count, p50, p99, rssMb, cpuSeconds } = await seen(runtime)
      console.log(
        `Image ${bytes / 1e6} MB at ${hz} Hz, best effort, rclpy to a wire: ${count} of ${sent}, p50 ${p50.toFixed(1)} ms, ` +
          `p99 ${p99.toFixed(1)} ms, RSS at most ${rssMb.toFixed(0)} MB, CPU ${cpuSeconds.toFixed(1)} s`,
      )
      await peer.stop()
      await runtime.remove()
    }
  },

  /** The nodes: both sides in turn, from the same sender's program. */
  async sync() {
    await sides('millrace-ros2-sync', 'three millrace-ros2-in and millrace-sync', async (inEngine, lidar, seconds) => {
      const runtime = await gathering(inEngine, lidar)
      const sender = Peer.rclpy('cameras.py', 6_000_000, 500_000, seconds + 6)
      await sender.next()
      await pause(2000)
      await seen(runtime)
      await pause(seconds * 1000)
      const { count: frames, ...result } = await seen(runtime)
      await sender.stop()
      await runtime.remove()
      return { ...result, frames }
    })
  },

  /** The same through the library alone. */
  async library() {
    await sides('ros2.Synchronizer', 'three subscriptions and sync.Synchronizer', async (inEngine, lidar, seconds) => {
      const receiver = Peer.ours({ job: 'sync', seconds, inEngine, lidar })
      await receiver.next()
      const sender = Peer.rclpy('cameras.py', 6_000_000, 500_000, seconds + 6)
      const { groups = 0, frames = 0, cpuSeconds = 0, rssMb = 0 } = await receiver.result()
      await Promise.all([receiver.stop(), sender.stop()])
      return { groups, frames, cpuSeconds, rssMb }
    })
  },
}

type Gathered = Pick<Seen, 'groups' | 'cpuSeconds' | 'rssMb'> & { frames: number }

/** Two ways to the same groups, in turn, so that both meet the same machine. */
async function sides(
  engine: string,
  flow: string,
  gather: (inEngine: boolean, lidar: boolean, seconds: number) => Promise<Gathered>,
): Promise<void> {
  const seconds = long ? 20 : 8
  console.log(`2 cameras of 6 MB at 30 Hz and a lidar at 10 Hz from rclpy, every second right frame without a partner`)
  for (const lidar of [false, true]) {
    const rounds = await times(ROUNDS, async () => [
      await gather(true, lidar, seconds),
      await gather(false, lidar, seconds),
    ])
    const title = lidar ? ', all three in a group' : ', the lidar where there is one'
    for (const [place, name] of [engine, flow].entries()) {
      const results = rounds.map((round) => round[place] as Gathered)
      const of = (value: (it: Gathered) => number) => median(results.map(value))
      const perFrame = of((it) => (it.cpuSeconds * 1000) / it.frames).toFixed(2)
      const seen = `${of((it) => it.groups / seconds).toFixed(1)} groups and ${of((it) => it.frames / seconds).toFixed(1)} of 70 frames a second`
      const rest = `  ${perFrame} ms a frame, ${seen}, RSS ${of((it) => it.rssMb).toFixed(0)} MB`
      const cores = results.map((it) => it.cpuSeconds / seconds)
      row(name + title, cores, 'cores', rest)
    }
  }
}

async function main(): Promise<void> {
  const wanted = (process.env.MILLRACE_BENCH?.split(',') ?? Object.keys(parts)) as (keyof typeof parts)[]
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0]
  console.log(
    `Node.js ${process.versions.node}, ${process.platform}-${process.arch}, ${cpus().length} cores, load ${load}`,
  )
  if (!python) return console.log('No ROS 2 here: run `npm test` once, or set MILLRACE_ROS2_PYTHON')
  if (existsSync(join(root, '.cache/rclnodejs/complete'))) {
    const { rclnodejsEnv } = await import(join(root, 'scripts/lib/ros2.mjs'))
    sourced = await rclnodejsEnv(python)
  }
  if (!sourced) console.log('SKIPPED the rows of rclnodejs: it is not built here; `npm test` builds it')
  for (const part of wanted) {
    try {
      await parts[part]()
    } catch (error) {
      console.error(`${part}:`, error)
      process.exitCode = 1
    }
  }
}

main().finally(() => process.exit())
