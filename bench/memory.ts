/**
 * The memory as JavaScript sees it beside better-sqlite3 (WAL; a table of documents, and one of versions), in one run,
 * alternating. `sync` means an fsync for each commit, on both sides. MILLRACE_LONG=1 opens 1,000,000 keys, too.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory } from '../nodes'
import { median } from './lib/figures'
import { peer } from './lib/peers'

const long = process.env.MILLRACE_LONG === '1'
const ROUNDS = 5
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-memory-'))
const value = (number: number) => ({ number, site: `site-${number % 100}`, text: 'x'.repeat(140), ok: true })
const key = (number: number) => `device-${String(number).padStart(8, '0')}`
const keys = Array.from({ length: 20_000 }, (_, it) => key(it))
const batches = Array.from({ length: 20 }, (_, it) => keys.slice(it * 1000, it * 1000 + 1000))

type Work = () => unknown

function say(name: string, value: string): void {
  console.log(`${name.padEnd(64)} ${value.padStart(14)}`)
}

/** Medians of rounds that take turns, a second. */
async function rates(name: string, count: number, ways: Record<string, Work | undefined>): Promise<void> {
  const found = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [way, work] of Object.entries(ways)) {
      if (!work) continue
      const begin = performance.now()
      await work()
      found.set(way, [...(found.get(way) ?? []), (count / (performance.now() - begin)) * 1000])
    }
  }
  for (const [way, all] of found) {
    const sorted = all.sort((a, b) => a - b).map((rate) => Math.round(rate).toLocaleString('en'))
    say(`${name}, ${way}`, `${sorted[ROUNDS >> 1]}/s  (${sorted[0]}–${sorted.at(-1)})`)
  }
}

/** Runs `call` for all numbers below `count`, 50 at a time. */
async function flying(count: number, call: (number: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: 50 }, worker))
}

const thousand = (from: number) => Array.from({ length: 1000 }, (_, it) => [key(from + it), value(from + it)] as const)

interface Statement {
  run(...values: unknown[]): void
  get(...values: unknown[]): { value: string } | undefined
}
interface Sqlite {
  pragma(text: string): void
  exec(sql: string): void
  prepare(sql: string): Statement
  transaction<A>(work: (given: A) => void): (given: A) => void
  close(): void
}

/** The same documents in SQLite: the newest in one table, all versions in another. */
function sqlite() {
  const Database = peer<new (path: string) => Sqlite>('better-sqlite3')
  if (!Database) return undefined
  const db = new Database(join(folder, 'sqlite.db'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.exec('create table documents (key text primary key, value text) without rowid')
  db.exec('create table versions (key text, time integer, value text, primary key (key, time)) without rowid')
  const put = db.prepare('insert or replace into documents values (?, ?)')
  const keep = db.prepare('insert into versions values (?, ?, ?)')
  const get = db.prepare('select value from documents where key = ?')
  const at = db.prepare('select value from versions where key = ? and time <= ? order by time desc limit 1')
  let time = 0
  const write = (key: string, value: unknown) => {
    time += 1
    const text = JSON.stringify(value)
    put.run(key, text)
    keep.run(key, time, text)
  }
  const parse = (row: { value: string } | undefined) => row && JSON.parse(row.value)
  return {
    putMany: db.transaction((rows: readonly (readonly [string, unknown])[]) => {
      for (const [key, value] of rows) write(key, value)
    }),
    getMany: (keys: string[]) => keys.map((key) => parse(get.get(key))),
    getManyAt: (keys: string[], at_: number) => keys.map((key) => parse(at.get(key, at_))),
    get: (key: string) => parse(get.get(key)),
    now: () => time,
    close: () => db.close(),
  }
}

/** Bytes that this process had written to the disk. */
function written(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}

async function opening(count: number): Promise<void> {
  const path = join(folder, `open-${count}`)
  const db = await memory.Database.open({ path })
  for (let from = 0; from < count; from += 1000) await db.putMany('n', thousand(from))
  await db.close()
  const times: number[] = []
  const gets: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const begin = performance.now()
    const again = await memory.Database.open({ path })
    const opened = performance.now()
    await again.get('n', key(count >> 1))
    times.push(opened - begin)
    gets.push(performance.now() - opened)
    await again.close()
  }
  say(`opening ${count.toLocaleString('en')} keys`, `${median(times).toFixed(1)} ms`)
  say('  its first get', `${median(gets).toFixed(1)} ms`)
}

async function amplification(): Promise<void> {
  const db = await memory.Database.open({ path: join(folder, 'amplification'), durability: 'sync' })
  const before = written()
  let bytes = 0
  for (let from = 0; from < 100_000; from += 100) {
    const rows = Array.from({ length: 100 }, (_, it) => [key(from + it), value(from + it)] as const)
    for (const [key, value] of rows) bytes += key.length + JSON.stringify(value).length
    await db.putMany('n', rows)
  }
  await db.close()
  say('written to the disk for each byte, 100,000 puts, 100 a commit', ((written() - before) / bytes).toFixed(2))
}

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const begin = performance.now()
  const db = await memory.Database.open({ path: join(folder, 'db'), durability: 'sync' })
  await db.put('n', 'first', 1)
  await db.get('n', 'first')
  say('load, open, first put and get', `${(performance.now() - begin).toFixed(1)} ms`)
  const peer = sqlite()

  await rates('durable single puts, 50 in flight', 5_000, {
    millrace: () => flying(5_000, (it) => db.put('n', key(it), value(it))),
    'better-sqlite3 (one after the other)':
      peer && (() => Array.from({ length: 5_000 }, (_, it) => peer.putMany([[key(it), value(it)]]))),
  })
  const starts = Array.from({ length: 50 }, (_, it) => it * 1000)
  const batched = async (first: () => number) => {
    const from = first()
    for (const start of starts) await db.putMany('n', thousand(from + start))
  }
  // So that JavaScript makes one while the engine writes the other.
  const twoInFlight = async (first: () => number) => {
    const from = first()
    let last: Promise<unknown> = Promise.resolve()
    for (const start of starts) {
      const next = db.putMany('n', thousand(from + start))
      await last
      last = next
    }
    await last
  }
  const inSqlite = (first: () => number) => {
    const from = first()
    for (const start of starts) peer?.putMany(thousand(from + start))
  }
  for (const [what, step] of [
    ['new ones', 50_000],
    ['over others', 0],
  ] as const) {
    const numbers = () => {
      // Those over others go over the first round's.
      let from = 50_000 - step
      return () => {
        from += step
        return from
      }
    }
    const [one, two, three] = [numbers(), numbers(), numbers()]
    await rates(`durable puts, 1,000 a batch, ${what}`, 50_000, {
      millrace: () => batched(() => one() + 10_000_000),
      'millrace, 2 batches in flight': () => twoInFlight(two),
      'better-sqlite3': peer && (() => inSqlite(three)),
    })
  }
  await db.getMany('n', keys)
  await rates('getMany, 1,000 keys a call', 20_000, {
    millrace: async () => {
      for (const batch of batches) await db.getMany('n', batch)
    },
    'millrace, 4 calls in flight': () => flight4((batch) => db.getMany('n', batch)),
    'better-sqlite3': peer && (() => batches.map((batch) => peer.getMany(batch))),
  })
  const at = Date.now()
  const then = peer?.now() ?? 0
  await new Promise((resolve) => setTimeout(resolve, 5))
  for (const batch of batches) {
    const rows = batch.map((it) => [it, 0] as const)
    await db.putMany('n', rows)
    peer?.putMany(rows)
  }
  await rates('getMany as of a time, one version back', 20_000, {
    millrace: async () => {
      for (const batch of batches) await db.getMany('n', batch, { at })
    },
    'better-sqlite3': peer && (() => batches.map((batch) => peer.getManyAt(batch, then))),
  })
  await rates('awaited gets, 50 in flight', 50_000, {
    millrace: () => flying(50_000, (it) => db.get('n', key(it % 20_000))),
    'better-sqlite3 (one after the other)':
      peer && (() => Array.from({ length: 50_000 }, (_, it) => peer.get(key(it % 20_000)))),
  })
  peer?.close()
  await db.close()
  await amplification()
  await opening(1_000)
  await opening(100_000)
  if (long) await opening(1_000_000)
}

/** Four calls on the way. */
async function flight4(call: (batch: string[]) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < batches.length) await call(batches[next++] as string[])
  }
  await Promise.all([worker(), worker(), worker(), worker()])
}

main()
  .catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }))
