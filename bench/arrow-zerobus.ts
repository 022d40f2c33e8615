/**
 * Sending to the Zerobus test server, in a process of its own: 20 batches of 13.6 MB as IPC bytes, by arrow.ZerobusClient and
 * by Databricks' own npm binary, in turns. Medians. How long the JavaScript thread was held is told in three ways: by the call
 * alone; in all by a batch that goes alone, from the call to its acknowledgement, of which no stretch can be longer; and at a
 * stretch while all are under way, when the server and the engine want the processors, too.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import { arrow } from '../nodes'
import { median, watchThread } from './lib/figures'
import { peer } from './lib/peers'

const ROUNDS = 7
const BATCHES = 20
/** So many go one by one. */
const ALONE = 10
const ROWS = 200_000
const numbers = (length: number) => Float64Array.from({ length }, (_, n) => n / 7)
const data = {
  id: BigInt64Array.from({ length: ROWS }, (_, n) => BigInt(n)),
  ...Object.fromEntries(Array.from({ length: 7 }, (_, place) => [`value${place}`, numbers(ROWS)])),
  count: Int32Array.from({ length: ROWS }, (_, n) => n),
}
const kinds = new Map<unknown, string>([
  [BigInt64Array, 'Int64'],
  [Float64Array, 'Float64'],
  [Int32Array, 'Int32'],
])

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

interface Config {
  endpoint: string
  table: string
  unityCatalogUrl: string
  clientId: string
  clientSecret: string
}

/** Sends one batch; resolves when it is acknowledged. */
interface Sender {
  send(ipc: Buffer): Promise<unknown>
  close(): Promise<void>
}

interface PeerStream {
  ingestBatch(ipc: Buffer): Promise<bigint>
  waitForOffset(offset: bigint): Promise<void>
  close(): Promise<void>
}

interface PeerModule {
  ArrowDataType: Record<string, number>
  ZerobusSdk: new (
    endpoint: string,
    catalog: string,
  ) => { createArrowStream(table: object, id: string, secret: string, options?: object): Promise<PeerStream> }
}

function ask<T>(server: ChildProcess): Promise<T> {
  server.send('count')
  return once(server, 'message').then(([said]) => said as T)
}

async function ours(config: Config): Promise<Sender> {
  const client = await arrow.ZerobusClient.open({ ...config })
  return {
    async send(ipc) {
      const { error } = await client.send(ipc)
      if (error) throw error
    },
    close: () => client.close(),
  }
}

const PEER = '@databricks/zerobus-ingest-sdk-linux-x64-gnu'

/** Databricks' binary, as npm has it for this platform. */
function peerModule(): PeerModule | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  return peer<PeerModule>(PEER)
}

async function theirs(peer: PeerModule, config: Config): Promise<Sender> {
  const sdk = new peer.ZerobusSdk(config.endpoint, config.unityCatalogUrl)
  const schemaFields = Object.entries(data).map(([name, values]) => {
    return { name, dataType: peer.ArrowDataType[kinds.get(values.constructor) ?? ''], nullable: false }
  })
  const { table, clientId, clientSecret } = config
  const stream = await sdk.createArrowStream({ tableName: table, schemaFields }, clientId, clientSecret)
  return {
    send: async (ipc) => stream.waitForOffset(await stream.ingestBatch(ipc)),
    close: () => stream.close(),
  }
}

/** Bytes a second, and how long the thread was held, ms. */
interface Round {
  rate: number
  call: number
  stretch: number
  /** Of each batch, in all. */
  alone: number[]
}

/** Each call has bytes of its own, as each would in a flow. What it takes to have them, and to be rid of others, is over. */
async function copies(ipc: Buffer, count: number): Promise<Buffer[]> {
  const all = Array.from({ length: count }, () => Buffer.from(ipc))
  collectGarbage()
  await new Promise(setImmediate)
  return all
}

async function run(sender: Sender, ipc: Buffer): Promise<Round> {
  const all = await copies(ipc, BATCHES)
  const calls: number[] = []
  const stop = watchThread()
  const start = performance.now()
  const sent: Promise<unknown>[] = []
  for (const bytes of all) {
    const before = performance.now()
    sent.push(sender.send(bytes))
    calls.push(performance.now() - before)
    await new Promise(setImmediate)
  }
  await Promise.all(sent)
  const seconds = (performance.now() - start) / 1000
  const rate = (BATCHES * ipc.length) / 1e6 / seconds
  return { rate, call: median(calls), stretch: stop(), alone: await oneByOne(sender, ipc) }
}

/** Each batch when the one before has arrived: how long the thread was not idle. It counts for itself, which takes nothing. */
async function oneByOne(sender: Sender, ipc: Buffer): Promise<number[]> {
  const busy: number[] = []
  for (const bytes of await copies(ipc, ALONE)) {
    const before = performance.eventLoopUtilization()
    await sender.send(bytes)
    busy.push(performance.eventLoopUtilization(before).active)
    await new Promise(setImmediate)
  }
  return busy
}

async function main(): Promise<void> {
  const server = fork(join(__dirname, 'arrow/server.ts'), { execArgv: ['--import', 'tsx'] })
  const [config] = (await once(server, 'message')) as [Config]
  const ipc = Buffer.from(tableToIPC(tableFromArrays(data), 'stream'))
  const peer = peerModule()
  const senders: Record<string, Sender> = { 'arrow.ZerobusClient': await ours(config) }
  if (peer) senders[`${PEER} 1.3.0`] = await theirs(peer, config)
  else console.log('Without the peer: npm has no binary of it for this platform.')
  const rounds = Object.fromEntries(Object.keys(senders).map((name) => [name, [] as Round[]]))
  for (const sender of Object.values(senders)) await run(sender, ipc)
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, sender] of Object.entries(senders)) rounds[name]?.push(await run(sender, ipc))
  }
  for (const sender of Object.values(senders)) await sender.close()
  const wanted = (ROUNDS + 1) * (BATCHES + ALONE) * ROWS * Object.keys(senders).length
  const count = await ask<number>(server)
  server.disconnect()
  if (count !== wanted) throw new Error(`${count} rows arrived, and ${wanted} were sent`)
  console.log(`\n${BATCHES} batches of ${(ipc.length / 1e6).toFixed(1)} MB to the Zerobus test server`)
  for (const [name, all] of Object.entries(rounds)) {
    const [rate, call, stretch] = (['rate', 'call', 'stretch'] as const).map((key) => median(all.map((it) => it[key])))
    const alone = all.flatMap((it) => it.alone)
    console.log(`  ${name.padEnd(52)} ${rate?.toFixed(0)} MB/s`)
    console.log(`    the thread was held ${call?.toFixed(2)} ms by a call`)
    console.log(
      `    ${median(alone).toFixed(2)} ms in all by a batch alone (longest ${Math.max(...alone).toFixed(2)} ms)`,
    )
    console.log(`    ${stretch?.toFixed(1)} ms at a stretch, all ${BATCHES} under way`)
  }
}

main()
