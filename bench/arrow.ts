/**
 * arrow through JavaScript beside npm's apache-arrow, in one run, alternating: rows to IPC and back, and IPC bytes to a
 * native batch. Medians. Blocked: the longest time that nothing else got the JavaScript thread.
 */
import { performance } from 'node:perf_hooks'
import {
  Field,
  Float64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableFromJSON,
  tableToIPC,
} from 'apache-arrow'
import { arrow } from '../nodes'
import { median, watchThread } from './lib/figures'

const ROUNDS = 15
const ROWS = 100_000

/** Ten mixed columns, as sensors give them. */
const rows = Array.from({ length: ROWS }, (_, n) => ({
  id: n,
  sensor: `sensor-${n % 100}`,
  site: `site ${n % 13}`,
  unit: 'celsius',
  value: 20 + Math.sin(n) * 5,
  low: n * 0.001,
  high: n / 3,
  count: n * 7,
  ok: n % 3 === 0,
  error: n % 10 === 0 ? `error ${n}` : null,
}))
const schema = arrow.Schema.of([
  { name: 'id', type: 'int32' },
  { name: 'sensor', type: 'utf8' },
  { name: 'site', type: 'utf8' },
  { name: 'unit', type: 'utf8' },
  { name: 'value', type: 'float64' },
  { name: 'low', type: 'float64' },
  { name: 'high', type: 'float64' },
  { name: 'count', type: 'int64' },
  { name: 'ok', type: 'bool' },
  { name: 'error', type: 'utf8' },
])

interface Measured {
  ms: number
  blocked: number
}

async function measure(call: () => unknown): Promise<Measured> {
  const stop = watchThread()
  const start = performance.now()
  await call()
  const ms = performance.now() - start
  const blocked = stop()
  await new Promise((resolve) => setTimeout(resolve, 5))
  return { ms, blocked }
}

/** Runs all of them in turns, and prints the medians. */
async function compare(title: string, calls: Record<string, () => unknown>): Promise<void> {
  const seen = Object.fromEntries(Object.keys(calls).map((name) => [name, [] as Measured[]]))
  for (const call of Object.values(calls)) for (let warm = 0; warm < 3; warm += 1) await call()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, call] of Object.entries(calls)) seen[name]?.push(await measure(call))
  }
  console.log(`\n${title}`)
  for (const [name, all] of Object.entries(seen)) {
    const ms = median(all.map((one) => one.ms))
    const blocked = median(all.map((one) => one.blocked))
    console.log(`  ${name.padEnd(44)} ${ms.toFixed(2).padStart(8)} ms   blocked ${blocked.toFixed(1).padStart(6)} ms`)
  }
}

/** IPC of eight columns of float64, in record batches as large as others write them. */
function numbers(bytes: number): Uint8Array {
  const fields = Array.from({ length: 8 }, (_, n) => new Field(`c${n}`, new Float64(), true))
  const count = Math.floor(bytes / 64)
  const length = Math.min(count, ROWS)
  const part = () => {
    const data = () => makeData({ type: new Float64(), data: Float64Array.from({ length }, (_, n) => n), nullCount: 0 })
    return new RecordBatch(
      new Schema(fields),
      makeData({ type: new Struct(fields), length, children: fields.map(data) }),
    )
  }
  return tableToIPC(new Table(Array.from({ length: Math.round(count / length) }, part)))
}

async function main(): Promise<void> {
  const ipc = await (await arrow.Batch.from(rows, { schema })).toIPC()
  const batch = await arrow.Batch.fromIPC(ipc)
  await compare(`${ROWS} rows of 10 mixed columns to IPC`, {
    'arrow.Batch.fromRows + toIPC': async () => (await arrow.Batch.fromRows(rows, { schema })).batch.toIPC(),
    'apache-arrow tableFromJSON + tableToIPC': () => tableToIPC(tableFromJSON(rows)),
    'JSON.stringify alone': () => JSON.stringify(rows),
  })
  await compare(`IPC to ${ROWS} row objects`, {
    'arrow.Batch.toRows': () => batch.toRows(),
    'apache-arrow tableFromIPC + toJSON': () =>
      tableFromIPC(ipc)
        .toArray()
        .map((row) => row?.toJSON()),
  })
  const whole = async (megabytes: number) => {
    const copies = Math.max(1, Math.round((megabytes * 2 ** 20) / ipc.length))
    const part = megabytes * 2 ** 20 < ipc.length ? batch.slice(0, ROWS / 12) : batch
    return arrow.Batch.join(
      batch.schema,
      Array.from({ length: copies }, () => part),
    ).toIPC()
  }
  for (const megabytes of [0.6, 10, 100]) {
    const mixed = await whole(megabytes)
    const fixed = numbers(megabytes * 2 ** 20)
    await compare(`IPC bytes to a native batch, checked, about ${megabytes} MB`, {
      [`${(mixed.length / 2 ** 20).toFixed(1)} MB with texts`]: () => arrow.Batch.fromIPC(mixed),
      [`${(fixed.length / 2 ** 20).toFixed(1)} MB of fixed width`]: () => arrow.Batch.fromIPC(fixed),
    })
  }
}

main()
