/**
 * All families under load, while the flows are deployed again and again and servers are killed: a minute with the other
 * tests, half an hour by `npm run soak`. What a node was done with must be where it was to go, and nothing may grow.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Consumer } from '@platformatic/kafka'
import { Batch } from '../../nodes/arrow/lib'
import { interpreter, isPython } from '../action/interpreter'
import { KafkaBroker, missing as noKafka } from '../action/kafka-broker'
import { missing as noRedis, RedisServer } from '../action/redis-server'
import { NatsServer, missing as noNats } from '../tasks/nats-server'
import { columns, idsOf, table } from '../zerobus/rig'
import { ZerobusServer } from '../zerobus/server'
import { type Json, Runtime } from './harness'

const minutes = Number(process.env.MILLRACE_SOAK_MINUTES ?? 1)
const lastsMs = minutes * 60_000
const deployMs = Math.min(20_000, lastsMs / 9)
/** Growth that is none: the data of the stores, caches that fill, what an allocator keeps. */
const graceMb = { script: 40, engine: 48, rss: 64 }
const MB = 1 << 20
const kinds = ['full', 'flows', 'nodes'] as const

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const place = { z: 'tab', x: 0, y: 0 }
const delivery = { accept: 'any', durable: true, breakAfter: 5, breakMs: 500, maxBackoffMs: 500, timeoutMs: 2000 }

/** Writes down what it is called with; told is what the next process must find. */
const script = `
def initialize(config):
    global told
    told = open(config["file"], "a", buffering=1)


def on_measurement(data):
    told.write("%d\\n" % data["n"])
`

interface Addresses {
  http: number
  redis: number | undefined
  nats: number | undefined
  kafka: number | undefined
  /** Settings of the table node. */
  zerobus: Json
  /** What the script of Python writes to. */
  python: string | undefined
}

/** A source of numbered messages, and for each family who takes them. `round` changes with every deploy. */
function flowOf(round: number, { http, redis, nats, kafka, zerobus, python }: Addresses): Json[] {
  const optional = { redis, far: nats, kafka, python }
  const takers = ['send', 'put', 'batch', 'http', 'a', 'say', 'row', ...keysOf(optional)]
  const count = `const n = (global.get('n') || 0) + 1
global.set('n', n)
return { n, payload: { n }, topic: String(n), timestamp: Date.now() }`
  const asRow = 'return { n: msg.n, payload: { id: msg.n, value: msg.n / 4 } }'
  const row = (topic: string) => ({ topic, required: true, minPeriodMs: '' })
  const stream = (topic: string) => `return { topic: '${topic}', timestamp: msg.timestamp, payload: msg.n }`
  const name = `round ${round}`
  const worker = (prefix: string, broker: string): Json[] => [
    { id: `${prefix}worker`, type: 'millrace-tasks-worker', broker, name, wires: [[`${prefix}work`], []] },
    { id: `${prefix}work`, type: 'function', func: 'msg.n = msg.tasks.args[0].n; return msg', outputs: 1 },
    { id: `${prefix}done`, type: 'millrace-tasks-done', name, wires: [[]] },
  ]
  const nodes: Json[] = [
    { id: 'tick', type: 'inject', props: [], repeat: '0.05', once: true, onceDelay: '0', wires: [['count']] },
    { id: 'count', type: 'function', func: count, outputs: 1, wires: [takers] },
    { id: 'end', type: 'junction', wires: [[]] },
    // sync
    { id: 'a', type: 'function', func: stream('a'), outputs: 1, wires: [['sync', 'b']] },
    { id: 'b', type: 'function', func: stream('b'), outputs: 1, wires: [['sync']] },
    { id: 'sync', type: 'millrace-sync', name, topics: [row('a'), row('b')], wires: [['watch'], ['end']] },
    // ros2
    { id: 'say', type: 'function', func: 'return { payload: { data: msg.n } }', outputs: 1, wires: [['out']] },
    { id: 'out', type: 'millrace-ros2-out', name, context: 'ros2', topic: '/soak', messageType: 'std_msgs/msg/Int32' },
    { id: 'in', type: 'millrace-ros2-in', name, context: 'ros2', topic: '/soak', messageType: 'std_msgs/msg/Int32' },
    // action
    {
      ...{ id: 'watch', type: 'millrace-action-watch', name, value: 'payload.a', valueType: 'msg', updateMs: 100 },
      ...{ source: '_msgid', maxSources: 50, rules: [], wires: [['end'], ['end'], ['end']] },
    },
    {
      id: 'http',
      type: 'millrace-action-http',
      name,
      url: `http://127.0.0.1:${http}/`,
      wires: [['end'], []],
      ...delivery,
    },
    // tasks
    { id: 'send', type: 'millrace-tasks-send', name, broker: 'broker', task: 'work', wires: [['end']] },
    ...worker('', 'broker'),
    // memory
    {
      ...{ id: 'put', type: 'millrace-memory-write', name, store: 'store', namespace: 'soak', wires: [['end'], []] },
      ...{ key: 'topic', keyType: 'msg' },
    },
    {
      ...{ id: 'ask', type: 'inject', props: [], repeat: '5', once: true, onceDelay: '1', wires: [['list']] },
    },
    {
      ...{ id: 'list', type: 'millrace-memory-read', name, store: 'store', operation: 'list', namespace: 'soak' },
      ...{ key: '', keyType: 'str', limit: '', wires: [['end'], []] },
    },
    // arrow
    {
      ...{ id: 'batch', type: 'millrace-arrow-batch', name, columns: [{ name: 'n', type: 'int32', nullable: false }] },
      ...{ maxMs: 200, wires: [['write'], []] },
    },
    { id: 'write', type: 'millrace-arrow-file', name, folder: 'arrow/soak', maxAgeS: 1, wires: [['read']] },
    { id: 'read', type: 'millrace-arrow-file', name, action: 'read', folder: 'arrow/soak', wires: [['rows']] },
    { id: 'rows', type: 'millrace-arrow-rows', name, messages: 'each', int64: 'number', wires: [['end']] },
    { id: 'row', type: 'function', func: asRow, outputs: 1, wires: [['zerobus']] },
    { id: 'zerobus', type: 'millrace-arrow-zerobus', name, table: 'table', wires: [['end'], []] },
  ]
  if (redis) {
    const settings = { hosts: `127.0.0.1:${redis}`, mode: 'stream', key: 'soak', maxLength: 1_000_000 }
    nodes.push({ id: 'redis', type: 'millrace-action-redis', name, ...settings, wires: [['end'], []], ...delivery })
  }
  if (kafka) {
    const settings = { brokers: `127.0.0.1:${kafka}`, topic: 'soak' }
    nodes.push({ id: 'kafka', type: 'millrace-action-kafka', name, ...settings, wires: [['end'], []], ...delivery })
  }
  if (python) {
    const settings = { code: script, interpreter, settings: JSON.stringify({ file: python }) }
    nodes.push({ id: 'python', type: 'millrace-action-python', name, ...settings, wires: [['end'], []], ...delivery })
  }
  if (nats) {
    nodes.push({ id: 'far', type: 'millrace-tasks-send', name, broker: 'bus', task: 'work', wires: [['end']] })
    nodes.push(...worker('far', 'bus'))
  }
  for (const node of nodes) if (/work$/.test(String(node.id))) node.wires = [[String(node.id).replace('work', 'done')]]
  const urls = { natsUrl: `nats://127.0.0.1:${nats}`, redisUrl: `redis://127.0.0.1:${redis}` }
  return [
    { id: 'tab', type: 'tab', label: name },
    ...nodes.map((node) => ({ wires: [['end']], ...place, ...node })),
    { id: 'broker', type: 'millrace-tasks-broker', kind: 'embedded', resultTtl: 60 },
    { id: 'store', type: 'millrace-memory-store', keepHours: 1 },
    { id: 'table', type: 'millrace-arrow-zerobus-table', columns, spool: true, maxDelayMs: 500, ...zerobus },
    { id: 'ros2', type: 'millrace-ros2-context', domain: 176, discovery: 'localhost' },
    ...(nats ? [{ id: 'bus', type: 'millrace-tasks-broker', kind: 'servers', prefix: 'soak', ...urls }] : []),
  ]
}

function keysOf(named: { [name: string]: unknown }): string[] {
  return Object.keys(named).filter((name) => named[name] !== undefined)
}

/** Takes what the outbox brings, and is away at times. */
class Receiver {
  readonly got = new Set<number>()
  port = 0
  private server: Server | undefined

  async start(): Promise<void> {
    this.server = createServer(async (request, response) => {
      let body = ''
      for await (const part of request) body += part
      this.got.add(JSON.parse(body).n)
      response.writeHead(204).end()
    })
    await new Promise<void>((resolve) => this.server?.listen(this.port, '127.0.0.1', resolve))
    this.port = (this.server.address() as AddressInfo).port
  }

  stop(): void {
    this.server?.closeAllConnections()
    this.server?.close()
  }
}

function away(server: ZerobusServer, isAway: boolean): void {
  server.away = isAway
}

/** The numbers in a file, a line each. */
function numbersOf(file: string | undefined): number[] {
  if (!file || !existsSync(file)) return []
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)
}

/** What there is now that was not before. */
function more(before: readonly string[], now: readonly string[]): string[] {
  const gone = [...before]
  return now.filter((one) => {
    const place = gone.indexOf(one)
    if (place >= 0) gone.splice(place, 1)
    return place < 0
  })
}

/** The numbers in all Arrow files of a folder. */
async function rowsOf(folder: string): Promise<number[]> {
  const numbers: number[] = []
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.arrow'))) {
    const batch = await Batch.fromIPC(readFileSync(join(folder, file)))
    for (const { n } of await batch.toRows()) numbers.push(Number(n))
  }
  return numbers
}

/** The numbers in a topic of Kafka that has no more to come. */
async function recordsOf(port: number, topic: string, wanted: ReadonlySet<number>): Promise<number[]> {
  const consumer = new Consumer({
    ...{ groupId: 'soak', clientId: 'soak', retries: 100, retryDelay: 200 },
    bootstrapBrokers: [{ host: '127.0.0.1', port }],
  })
  const left = new Set(wanted)
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 100 })
  const giveUp = setTimeout(() => stream.destroy(), 60_000)
  const found: number[] = []
  try {
    for await (const { value } of stream) {
      const { n } = JSON.parse(String(value))
      found.push(n)
      left.delete(n)
      if (left.size === 0) break
    }
  } finally {
    clearTimeout(giveUp)
    await consumer.close(true)
  }
  return found
}

/** Open files, threads and children of a process, where the system tells of them. */
function heldBy(pid: number): { files: string[]; threads: number; children: number } {
  const own = `/proc/${pid}`
  if (!existsSync(own)) return { files: [], threads: 0, children: 0 }
  const files = readdirSync(`${own}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`${own}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  const threads = readdirSync(`${own}/task`)
  const children = threads.flatMap((task) => {
    try {
      return readFileSync(`${own}/task/${task}/children`, 'utf8').split(' ').filter(Boolean)
    } catch {
      return []
    }
  })
  return { files, threads: threads.length, children: children.length }
}

describe(`a soak of ${minutes} min`, function suite() {
  this.timeout(lastsMs * 1.5 + 480_000)
  let runtime: Runtime
  const receiver = new Receiver()
  let redis: RedisServer | undefined
  let nats: NatsServer | undefined
  let kafka: KafkaBroker | undefined
  let zerobus: ZerobusServer | undefined
  const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
  const python = isPython ? join(folder, 'told') : undefined

  before(async () => {
    await receiver.start()
    zerobus = await ZerobusServer.start()
    if (!python) console.log(`\nSKIPPED soak with Python: there is no Python 3.8 or later called ${interpreter}\n`)
    if (noKafka) console.log(`\nSKIPPED soak with Kafka: ${noKafka}\n`)
    else {
      kafka = await KafkaBroker.start()
      await kafka.make(['soak.display', 'soak.alerts'])
    }
    // What it was told must be there after a kill.
    if (noRedis) console.log(`\nSKIPPED soak with Redis: ${noRedis}\n`)
    else redis = await RedisServer.start(['appendonly yes', 'appendfsync always'])
    if (noNats || noRedis) console.log(`\nSKIPPED soak with NATS: ${noNats ?? noRedis}\n`)
    else nats = await NatsServer.start()
    runtime = await Runtime.boot()
  })
  after(async () => {
    await runtime?.remove()
    receiver.stop()
    await redis?.remove()
    await nats?.remove()
    await kafka?.remove()
    await zerobus?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('loses nothing, leaves nothing behind, and does not grow', async () => {
    const bus = zerobus as ZerobusServer
    const { clientId, clientSecret, ...reached } = bus.config(table)
    const addresses = {
      ...{ http: receiver.port, redis: redis?.port, nats: nats?.port, kafka: kafka?.ports.plain, python },
      zerobus: { ...reached, credentials: { clientId, clientSecret } },
    }
    const done = new Map<string, Set<number>>()
    let listed: string[] = []
    /** What the probe told: it is not kept as it comes, there is too much of it. */
    const digest = () => {
      for (const { node, n } of runtime.done.splice(0)) done.set(node, (done.get(node) ?? new Set()).add(n))
      for (const { node, port, payload } of runtime.sent.splice(0)) {
        if (node === 'list' && port === 0) listed = payload as string[]
      }
      runtime.statuses.length = 0
    }
    const missing = (from: string, to: Iterable<number>) => {
      const there = new Set(to)
      return [...(done.get(from) ?? [])].filter((n) => !there.has(n))
    }
    const held = () => heldBy(runtime.process.pid as number)
    const left = async () => {
      const steady = (names: string[]) => names.filter((name) => !/TCP|Immediate|FSReq|Pipe|Timeout|TTY/.test(name))
      return {
        timers: await runtime.ask<number>('timers'),
        handles: steady(await runtime.ask<string[]>('resources')),
        listeners: await runtime.ask<string[]>('listeners'),
        children: held().children,
      }
    }
    const rest = async () => {
      await runtime.deploy([])
      await pause(2000)
      return left()
    }

    await runtime.deploy(flowOf(0, addresses))
    await pause(3000)
    const before = await rest()
    const heldBefore = held()
    // Who deletes a flow deletes what is on its way in it.
    runtime.done.length = 0
    const memory: { script: number; engine: number; rss: number }[] = []
    const used = async () => {
      const { script, rss } = await runtime.ask<{ script: number; rss: number }>('memory')
      const { engine } = await runtime.json<{ engine: { bytes: number } }>('/millrace-shared-engine/any/list')
      return { script: script / MB, engine: engine.bytes / MB, rss: rss / MB }
    }
    const begun = performance.now()
    for (let round = 1; performance.now() - begun < lastsMs; round += 1) {
      await runtime.deploy(flowOf(round, addresses), kinds[round % kinds.length])
      await pause(deployMs / 3)
      const [stop, start] = [
        [() => receiver.stop(), () => receiver.start()],
        [() => redis?.stop(), () => redis?.run()],
        [() => nats?.kill(), () => nats?.run()],
        [() => kafka?.stop(), () => kafka?.run()],
        [() => away(bus, true), () => away(bus, false)],
      ][round % 5] as [() => unknown, () => unknown]
      await stop()
      await pause(deployMs / 6)
      await start()
      await pause(deployMs / 2)
      memory.push(await used())
      digest()
    }

    // No more comes in; what is under way arrives, and all keys are read.
    const last = flowOf(-1, addresses).map((node) => (node.id === 'tick' ? { ...node, d: true } : node))
    await runtime.deploy(last, 'nodes')
    const lost = () => ({
      tasks: missing('send', done.get('done') ?? []),
      'tasks on servers': missing('far', done.get('fardone') ?? []),
      documents: missing('put', listed.map(Number)),
      calls: missing('http', receiver.got),
      'rows of Zerobus': missing('zerobus', idsOf(bus)),
      'calls of Python': missing('python', numbersOf(python)),
    })
    const giveUp = performance.now() + 180_000
    while (Object.values(lost()).some((some) => some.length > 0) && performance.now() < giveUp) {
      await pause(500)
      digest()
    }
    if (redis) {
      const client = redis.client()
      const entries = (await client.xrange('soak', '-', '+')) as [string, string[]][]
      const there = entries.map(([, fields]) => Number(/"n":(\d+)/.exec(fields.join(' '))?.[1]))
      assert.deepEqual(missing('redis', there), [], 'records of Redis')
    }
    if (kafka) {
      const sent = done.get('kafka') ?? new Set()
      const there = await recordsOf(kafka.ports.plain as number, 'soak.display', sent)
      assert.deepEqual(missing('kafka', there), [], 'records of Kafka')
    }
    const series = (kind: 'script' | 'engine' | 'rss') => memory.map((one) => one[kind].toFixed(0)).join(' ')
    const counts = [...done].map(([node, some]) => `${node} ${some.size}`).join(', ')
    const codes = new Set(runtime.failed.map(({ node, code }) => `${node} ${code}`))
    console.log(`      failed meanwhile: ${[...codes].join(', ') || 'nothing'}`)
    console.log(`      ${memory.length} deploys; ${counts}`)
    for (const kind of ['script', 'engine', 'rss'] as const) console.log(`      MB ${kind}: ${series(kind)}`)
    const optional = keysOf({ redis, far: nats, kafka, python })
    const counted = ['send', 'put', 'batch', 'http', 'zerobus', ...optional]
    for (const node of counted) assert.ok((done.get(node)?.size ?? 0) > 100, node)
    for (const [what, some] of Object.entries(lost())) {
      const last = () => `${what}: ${some.length}, ${some.slice(0, 10)}; ${runtime.complaints().slice(-20).join('\n')}`
      assert.equal(some.length, 0, last())
    }
    for (const kind of ['script', 'engine', 'rss'] as const) {
      const part = Math.ceil(memory.length / 4)
      const least = (some: typeof memory) => Math.min(...some.map((one) => one[kind]))
      const [first, last] = [least(memory.slice(part, 2 * part)), least(memory.slice(-part))]
      assert.ok(last - first < graceMb[kind], `${kind} grew: ${series(kind)}`)
    }
    const after = await rest()
    const [{ files, threads }, was] = [held(), heldBefore]
    console.log(
      `      at rest: ${was.files.length} → ${files.length} files, ${was.threads} → ${threads} threads, ` +
        `${before.timers} → ${after.timers} timers, ${before.handles.length} → ${after.handles.length} handles`,
    )
    assert.deepEqual(after, before)
    // A few may close a little later; one that each deploy left would be seen.
    assert.ok(files.length - was.files.length < memory.length / 2, `open since: ${more(was.files, files).join(', ')}`)
    assert.ok(threads - was.threads < Math.max(8, memory.length / 2), `${was.threads} → ${threads} threads`)
    assert.deepEqual(missing('batch', await rowsOf(join(runtime.userDir, 'arrow/soak'))), [], 'rows')
    assert.equal(/Uncaught|nhandled/.test(runtime.log), false, runtime.log)
  })
})
