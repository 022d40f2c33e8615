/**
 * tasks beside BullMQ and Celery (with redis-server), plainjobs (SQLite) and the bare client of NATS, in one run,
 * alternating. Loopback only. The tasks do nothing; every feature of ours is on. Short by default; MILLRACE_LONG=1 takes
 * the full counts; MILLRACE_BENCH names the parts to run (send, work, fsync, servers, chord, many, nodes). The peers are
 * installed into bench/, not into the product; one that cannot be had is left out and named.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { connect } from 'nats'
import type { tasks as Tasks } from '../nodes'
import { Runtime } from '../test/runtime/harness'
import { freePort } from '../test/shared/port'
import { NatsServer } from '../test/tasks/nats-server'
import { median } from './lib/figures'
import { peer, peerPath, peerPython } from './lib/peers'

// As it is installed, and not as it is compiled on the way.
const { tasks } = createRequire(__filename)('../dist') as { tasks: typeof Tasks }

const long = process.env.MILLRACE_LONG === '1'
const ROUNDS = long ? 7 : 3
const SCALE = long ? 4 : 1
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))

interface Side {
  label: string
  /** Sends one by one, each awaited. */
  single?(count: number): Promise<void>
  /** Sends in batches of 1000. */
  bulk?(count: number): Promise<void>
  /** Sends with 50 on the way. */
  flight?(count: number): Promise<void>
  /** Sends with 500 on the way. */
  crowd?(count: number): Promise<void>
  /** Does what was sent, 50 at a time. */
  work?(count: number): Promise<void>
  clear(): Promise<void>
  close(): Promise<void>
}

/** Calls `send` so often, so many at a time. */
async function atOnce(most: number, count: number, send: () => Promise<unknown>): Promise<void> {
  let left = count
  const lane = async () => {
    while (left > 0) {
      left -= 1
      await send()
    }
  }
  await Promise.all(Array.from({ length: most }, lane))
}

const thousands = (count: number) => Array.from({ length: count / 1000 }, () => 1000)

function counted(count: number): { one(): void; all: Promise<void> } {
  let left = count
  let end = () => {}
  const all = new Promise<void>((resolve) => {
    end = resolve
  })
  const one = () => {
    left -= 1
    if (left === 0) end()
  }
  return { one, all }
}

async function embedded(durability: 'bounded' | 'fsync'): Promise<Side> {
  const app = await tasks.connect({ path: mkdtempSync(join(folder, 'embedded-')), durability })
  return millrace(`millrace, ${durability === 'fsync' ? 'fsync' : '≤ 200 ms to disk'}`, app)
}

function millrace(label: string, app: Tasks.App): Side {
  const task = app.task('work')
  const list = Array.from({ length: 1000 }, (_, place) => [place, 2])
  return {
    label,
    async single(count) {
      for (let sent = 0; sent < count; sent += 1) await task.delay(1, 2)
    },
    async bulk(count) {
      // Two on the way, so that the next is made while one is written.
      let last: Promise<unknown> = Promise.resolve()
      for (const _ of thousands(count)) {
        const next = task.applyMany(list)
        await last
        last = next
      }
      await last
    },
    flight: (count) => atOnce(50, count, () => task.delay(1, 2)),
    crowd: (count) => atOnce(500, count, () => task.delay(1, 2)),
    async work(count) {
      const { one, all } = counted(count)
      app.task('work', (a: number, b: number) => {
        one()
        return a + b
      })
      // Those beyond 50 wait in the worker; only 50 run.
      const worker = app.worker({ tasks: ['work'], concurrency: 50, prefetch: 200 })
      await worker.start()
      await all
      await worker.stop()
    },
    clear: async () => void (await app.control.purge('default')),
    close: () => app.close({ drainMs: 0 }),
  }
}

async function bullmq(port: number, label: string): Promise<Side> {
  // biome-ignore lint/suspicious/noExplicitAny: it is not there where types are checked
  const { Queue, Worker } = peer<any>('bullmq') ?? {}
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const data = { args: [1, 2] }
  const batch = Array.from({ length: 1000 }, () => ({ name: 'work', data }))
  return {
    label,
    async single(count) {
      for (let sent = 0; sent < count; sent += 1) await queue.add('work', data)
    },
    async bulk(count) {
      for (const _ of thousands(count)) await queue.addBulk(batch)
    },
    flight: (count) => atOnce(50, count, () => queue.add('work', data)),
    async work(count) {
      const { one, all } = counted(count)
      const does = async ({ data: { args } }: { data: { args: number[] } }) => (args[0] as number) + (args[1] as number)
      const worker = new Worker('bench', does, { connection, concurrency: 50 })
      worker.on('completed', one)
      await all
      await worker.close()
    },
    clear: () => queue.obliterate({ force: true }),
    close: () => queue.close(),
  }
}

/** Only publishes, acknowledged by JetStream: messages as large as ours. */
async function bareNats(url: string): Promise<Side> {
  const connection = await connect({ servers: url })
  const manager = await connection.jetstreamManager()
  await manager.streams.add({ name: 'bare', subjects: ['bare'] })
  const stream = connection.jetstream()
  const message = Buffer.from(
    JSON.stringify({ ...{ v: 1, id: randomUUID(), name: 'work', args: [1, 2] }, createdAt: Date.now() }),
  )
  return {
    label: 'the bare client of NATS',
    crowd: (count) => atOnce(500, count, () => stream.publish('bare', message)),
    clear: async () => void (await manager.streams.purge('bare')),
    close: () => connection.close(),
  }
}

async function plainjobs(): Promise<Side> {
  const { defineQueue, defineWorker } = await import(peerPath('plainjobs') as string)
  // biome-ignore lint/suspicious/noExplicitAny: the same
  const Database = peer<any>('better-sqlite3')
  const make = () => {
    const connection = new Database(join(mkdtempSync(join(folder, 'plainjobs-')), 'jobs.db'))
    return defineQueue({ connection, logger: { error() {}, warn() {}, info() {}, debug() {} } })
  }
  let queue = make()
  return {
    label: 'plainjobs, synchronous=NORMAL',
    async single(count) {
      for (let sent = 0; sent < count; sent += 1) queue.add('work', { args: [1, 2] })
    },
    async work(count) {
      const { one, all } = counted(count)
      const logger = { error() {}, warn() {}, info() {}, debug() {} }
      const worker = defineWorker('work', async () => {}, { queue, logger, pollIntervall: 1, onCompleted: one })
      worker.start()
      await all
      await worker.stop()
    },
    async clear() {
      queue.close()
      queue = make()
    },
    async close() {
      queue.close()
    },
  }
}

/** A process for each measurement: `send` one by one, or a pool that works. */
function celery(python: string, port: number, what: 'send' | 'prefork' | 'threads', results = false): Side {
  let rate = 0
  const run = async (count: number) => {
    const script = join(__dirname, 'tasks/celery_peer.py')
    const url = `redis://127.0.0.1:${port}/1`
    const args = [script, url, what, String(count), ...(results ? ['results'] : [])]
    rate = Number(execFileSync(python, args, { encoding: 'utf8' }))
    throw new Measured(rate)
  }
  const label = `Celery, ${what === 'send' ? 'one by one' : what}${results ? ', with results' : ''}`
  return {
    label,
    ...(what === 'send' ? { single: run } : { work: run }),
    clear: async () => {},
    close: async () => {},
  }
}

/** What a side measured by itself. */
class Measured extends Error {
  constructor(readonly rate: number) {
    super('measured')
  }
}

async function rateOf(count: number, run: () => Promise<void>): Promise<number> {
  const start = performance.now()
  try {
    await run()
  } catch (error) {
    if (error instanceof Measured) return error.rate
    throw error
  }
  return count / ((performance.now() - start) / 1000)
}

function row(label: string, values: readonly number[], unit: string, rest = ''): void {
  const text = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2))
  const spread = values.length > 1 ? `  (${text(Math.min(...values))}–${text(Math.max(...values))})` : ''
  console.log(`${label.padEnd(58)}${text(median(values)).padStart(10)} ${unit}${spread}${rest}`)
}

type Way = 'single' | 'bulk' | 'flight' | 'crowd' | 'work'

/** Measures the sides in turns. Beside each peer: how much faster ours is, the first one. */
async function compare(title: string, way: Way, sides: Side[], counts: (side: Side) => number): Promise<void> {
  console.log(`\n${title}`)
  const rates = new Map<Side, number[]>(sides.map((side) => [side, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of sides) {
      const count = counts(side) * SCALE
      if (way === 'work' && side.bulk) await side.bulk(count)
      else if (way === 'work' && side.single && !side.label.startsWith('Celery')) await side.single(count)
      rates.get(side)?.push(await rateOf(count, () => (side[way] as (count: number) => Promise<void>)(count)))
      await side.clear()
    }
  }
  const ours = median([...rates.values()][0] as number[])
  for (const [side, values] of rates) {
    row(`  ${side.label}`, values, '/s', side === sides[0] ? '' : `  × ${(ours / median(values)).toFixed(1)}`)
  }
}

const running: ChildProcess[] = []

async function redis(...more: string[]): Promise<number> {
  const port = await freePort()
  const dir = mkdtempSync(join(folder, 'redis-'))
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...more]
  const child = spawn(process.env.MILLRACE_REDIS_SERVER ?? 'redis-server', args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  for await (const data of child.stdout) if (String(data).includes('Ready to accept')) break
  child.stdout.resume()
  return port
}

/** What there is of the peers. */
function peers(): { node: boolean; python: string | undefined } {
  return { node: peer('bullmq') !== undefined && peer('better-sqlite3') !== undefined, python: peerPython() }
}

/** What a process with a queue of its own says; then it is killed. */
async function said(path: string, what: string, size: number): Promise<Record<string, number>> {
  const script = join(__dirname, 'tasks/million.ts')
  const child = fork(script, [path, what, String(size)], { execArgv: ['--import', 'tsx'] })
  const [numbers] = await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
  return numbers
}

async function parts(wanted: (part: string) => boolean): Promise<void> {
  const beside = ['send', 'work', 'fsync', 'servers'].some(wanted)
  const { node, python } = beside ? peers() : { node: false, python: '' }
  let ours = await embedded('bounded')
  const sides: Side[] = [ours]
  const port = node || python ? await redis() : 0
  if (node) {
    sides.push(await bullmq(port, 'BullMQ, no AOF'))
    sides.push(await plainjobs().catch((error) => failed('plainjobs', error)))
  }
  const counts = (own: number, other: number) => (side: Side) => (side === ours ? own : other)
  // What was sent and purged before is not what the next measurement is about.
  const fresh = async () => {
    await ours.close()
    ours = await embedded('bounded')
    sides[0] = ours
  }
  const able = (way: Way, more: Side[] = []) => [...sides, ...more].filter((side) => side[way])
  if (wanted('send')) {
    const more = python ? [celery(python, port, 'send')] : []
    await compare('Sends, each awaited', 'single', able('single', more), counts(100_000, 5000))
    await fresh()
    await compare('Sends in batches of 1000', 'bulk', able('bulk'), counts(200_000, 20_000))
    await compare('Sends, 50 on the way', 'flight', able('flight'), counts(100_000, 10_000))
  }
  if (wanted('work')) {
    await fresh()
    const more = python ? (['prefork', 'threads'] as const).map((pool) => celery(python, port, pool)) : []
    await compare('Does tasks, 50 at a time', 'work', able('work', more), counts(200_000, 10_000))
  }
  for (const side of sides) await side.close()
  if (wanted('fsync')) {
    const durable = [await embedded('fsync')]
    if (node)
      durable.push(await bullmq(await redis('--appendonly', 'yes', '--appendfsync', 'always'), 'BullMQ, AOF always'))
    const own = (side: Side) => (side === durable[0] ? 100_000 : 10_000)
    await compare('On the disk before the answer: sends in batches of 1000', 'bulk', durable, own)
    for (const side of durable) await side.close()
  }
  if (wanted('servers')) await servers(node, python)
  if (wanted('chord')) await chords()
  if (wanted('many')) await many()
  if (wanted('nodes')) await nodes()
}

function failed(what: string, error: Error): Side {
  console.log(`Without ${what}: ${error.message.split('\n')[0]}`)
  return { label: what, clear: async () => {}, close: async () => {} }
}

/** On NATS and Redis, with results. Neither server writes to the disk before it answers. */
async function servers(node: boolean, python: string | undefined): Promise<void> {
  const nats = await NatsServer.start()
  const port = await redis()
  const app = await tasks.connect({ natsUrl: nats.url, redisUrl: `redis://127.0.0.1:${port}` })
  const ours = millrace('millrace on NATS and Redis', app)
  const bare = await bareNats(nats.url)
  await compare('On servers: sends, 500 on the way', 'crowd', [ours, bare], () => 20_000)
  const others = node ? [await bullmq(port, 'BullMQ, no AOF')] : []
  const pools = python ? (['prefork', 'threads'] as const).map((pool) => celery(python, port, pool, true)) : []
  await compare('On servers: does tasks, 50 at a time, results kept', 'work', [ours, ...others, ...pools], (side) =>
    side === ours ? 50_000 : 10_000,
  )
  for (const side of [ours, bare, ...others]) await side.close()
  await nats.remove()
}

async function chords(): Promise<void> {
  const app = await tasks.connect({ path: mkdtempSync(join(folder, 'chord-')) })
  const delays: number[] = []
  let last = 0
  const part = app.task('part', (place: number) => {
    last = performance.now()
    return place
  })
  const body = app.task('body', (results: number[]) => {
    delays.push(performance.now() - last)
    return results.length
  })
  const worker = app.worker({ concurrency: 50, prefetch: 200 })
  await worker.start()
  for (let round = 0; round < ROUNDS; round += 1) {
    const signatures = Array.from({ length: 10_000 }, (_, place) => part.s(place))
    const result = await tasks.chord(signatures, body.s()).applyAsync()
    await result.get()
  }
  console.log('')
  row('A chord of 10,000: from the last part to the callback', delays, 'ms')
  await app.close()
}

async function many(): Promise<void> {
  const path = mkdtempSync(join(folder, 'many-'))
  const full = await said(path, 'fill', 1_000_000)
  const { openedMs } = await said(path, 'open', 0)
  console.log('\n1,000,000 tasks wait')
  row('  resident memory', [full.rssMb as number], 'MB')
  row('  open again after kill -9', [openedMs as number], 'ms')
  const share = (what: string) => `  (empty: ${Math.round(full[`${what}Empty`] as number).toLocaleString('en')})`
  row('  send, in batches of 1000', [full.sendFull as number], '/s', share('send'))
  row('  do, 50 at a time', [full.takeFull as number], '/s', share('take'))
  const idle = await said(mkdtempSync(join(folder, 'idle-')), 'delayed', 0)
  const delayed = await said(mkdtempSync(join(folder, 'delayed-')), 'delayed', 100_000)
  const none = `  (none: ${(idle.idlePercent as number).toFixed(2)})`
  row('100,000 delayed tasks: CPU of the idle process', [delayed.idlePercent as number], '% of a core', none)
}

/** From a send node over a worker to a done node, in one Node-RED; and the same way over nodes of Node-RED's own. */
async function nodes(): Promise<void> {
  const ours = () => [
    { id: 'broker', type: 'millrace-tasks-broker', path: mkdtempSync(join(folder, 'nodes-')) },
    { id: 'first', type: 'millrace-tasks-send', broker: 'broker', task: 'work', output: 'id', wires: [[]] },
    {
      id: 'worker',
      type: 'millrace-tasks-worker',
      broker: 'broker',
      tasks: ['work'],
      concurrency: 200,
      wires: [['done'], []],
    },
    { id: 'done', type: 'millrace-tasks-done', wires: [['sink']] },
  ]
  const bare = () => [
    { id: 'first', type: 'change', rules: [], wires: [['second']] },
    { id: 'second', type: 'change', rules: [], wires: [['third']] },
    { id: 'third', type: 'change', rules: [], wires: [['sink']] },
  ]
  const rates: Record<'ours' | 'bare', number[]> = { ours: [], bare: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.ours.push(await flowRate(ours()))
    rates.bare.push(await flowRate(bare()))
  }
  console.log('')
  row('Node-RED: send → worker → done', rates.ours, '/s')
  row('  three change nodes without rules instead', rates.bare, '/s')
}

/** Messages a second from a node that makes them into `first`, until they arrive at a node that counts them. */
async function flowRate(between: Record<string, unknown>[]): Promise<number> {
  const count = 50_000 * SCALE
  const placed = [
    { id: 'source', type: 'bench-source', wires: [['first']] },
    ...between,
    { id: 'sink', type: 'bench-sink', wires: [] },
  ].map((entry) => (entry.id === 'broker' ? entry : { z: 'tab', x: 0, y: 0, ...entry }))
  const ends = mkdtempSync(join(folder, 'ends-'))
  writeFileSync(join(ends, 'ends.html'), '')
  writeFileSync(join(ends, 'ends.js'), endsOf(count))
  const runtime = await Runtime.boot({
    probe: false,
    settings: `nodesDir: ${JSON.stringify(ends)},`,
    flows: [{ id: 'tab', type: 'tab' }, ...placed],
  })
  try {
    await runtime.until('all are done', () => /rate [\d.]+/.test(runtime.log), 60_000)
    return Number(/rate ([\d.]+)/.exec(runtime.log)?.[1])
  } finally {
    await runtime.remove()
  }
}

/** The two ends, which take next to nothing themselves; function nodes with context would be a third of what is measured. */
function endsOf(count: number): string {
  return `module.exports = (RED) => {
    let sent = 0, done = 0, start = 0
    RED.nodes.registerType('bench-source', function (config) {
      RED.nodes.createNode(this, config)
      // Hands out messages in turns of the event loop; a few thousand are on the way at once.
      const more = () => {
        for (; sent < ${count} && sent - done < 2000; sent += 1) this.send({ payload: [sent, 2] })
        if (sent < ${count}) setTimeout(more, 1)
      }
      setTimeout(() => {
        start = performance.now()
        more()
      }, 1000)
    })
    RED.nodes.registerType('bench-sink', function (config) {
      RED.nodes.createNode(this, config)
      this.on('input', (message, send, finished) => {
        done += 1
        if (done === ${count}) this.warn('rate ' + ${count} / ((performance.now() - start) / 1000))
        finished()
      })
    })
  }`
}

async function main(): Promise<void> {
  const chosen = process.env.MILLRACE_BENCH?.split(',')
  const cpu = cpus()[0]?.model ?? 'unknown'
  console.log(`Node.js ${process.versions.node}, ${cpus().length} × ${cpu}, ${ROUNDS} alternating rounds`)
  try {
    await parts((part) => !chosen || chosen.includes(part))
  } finally {
    for (const child of running) child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
