/** Sending through all that can go wrong, at random: none lost, none sent again that was known to be kept. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { Batch, type ZerobusClient } from '../../nodes/arrow/lib'
import { generator } from '../shared/random'
import { batchOf, endAll, folder, idsOf, open, Repeats, range, sentAgain, start, table } from './rig'
import type { Fault, ZerobusServer } from './server'

const SCHEDULES = process.env.MILLRACE_LONG ? 200 : 30
const FIRST_SEED = 20_261_121
/** Batches that go through a network that flaps. */
const FLAPPED = 60

const codes = [status.UNAVAILABLE, status.INTERNAL, status.ABORTED, status.RESOURCE_EXHAUSTED, status.UNKNOWN]

function faultOf(random: () => number): Fault {
  const pick = Math.floor(random() * 8)
  const code = codes[Math.floor(random() * codes.length)] ?? status.UNAVAILABLE
  switch (pick) {
    case 0:
      return { kind: 'partial', rows: Math.floor(random() * 40) }
    case 1:
      return { kind: 'close', ms: Math.floor(random() * 20) }
    case 2:
      return { kind: 'end' }
    case 3:
      return { kind: 'cut' }
    case 4:
      return { kind: 'cut', store: true }
    case 5:
      return { kind: 'silent' }
    case 6:
      return { kind: 'status', code, store: true }
    default:
      return { kind: 'status', code }
  }
}

/** The endpoint is away for a moment. */
async function outage(server: ZerobusServer, random: () => number): Promise<void> {
  server.away = true
  await passed(Math.floor(random() * 30))
  server.away = false
}

/** Of the rows that lie beside a spool. */
async function idsAside(spool: string): Promise<number[]> {
  const folder = join(spool, 'rejected')
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.arrow')) : []
  const batches = await Promise.all(names.map((name) => Batch.fromIPC(readFileSync(join(folder, name)))))
  const rows = await Promise.all(batches.map((batch) => batch.toRows()))
  return rows
    .flat()
    .map(({ id }) => Number(id))
    .sort((a, b) => a - b)
}

const DELIVERIES = ['flight', 'protobuf', 'json'] as const

async function live(seed: number, delivery: (typeof DELIVERIES)[number], spooled: boolean): Promise<void> {
  const random = generator(seed)
  const rate = random() * 0.3
  const poison = new Set(random() < 0.3 ? [Math.floor(random() * 400), Math.floor(random() * 400)] : [])
  const repeats = new Repeats()
  const server = await start({
    heard: repeats.heard,
    ackDelayMs: Math.floor(random() * 4),
    ackEvery: 1 + Math.floor(random() * 3),
    fault: () => (random() < rate ? faultOf(random) : undefined),
    reject: (rows) => poison.size > 0 && rows.some(({ id }) => poison.has(Number(id))),
  })
  const spool = spooled ? { folder: folder(), syncMs: 1000 } : undefined
  const options = {
    delivery,
    // Shorter than a busy machine may take, it would give up on what is about to be acknowledged.
    ackTimeoutMs: 500,
    // From a spool all is tried until it arrives, however often it is given up.
    retry: { maxAttempts: spooled ? 1 + Math.floor(random() * 5) : 200, baseDelayMs: 1, maxDelayMs: 4 },
    ...(spool ? { spool } : {}),
  }
  let client = await open(server, options)
  let aside = 0
  const sends: Promise<{ totalRows: number; failed: number[] }>[] = []
  let next = 0
  for (let batch = 0; batch < 25; batch++) {
    const [first, count] = [next, 1 + Math.floor(random() * 40)]
    next += count
    const sending = client.send(await batchOf(first, count)).then((result) => {
      repeats.note(first, result)
      const { totalRows, failedRows } = result
      return { totalRows, failed: failedRows.map(({ row }) => first + row) }
    })
    sends.push(sending)
    if (random() < 0.2) await Promise.all(sends)
    if (random() < 0.1) await outage(server, random)
    if (random() < 0.08) {
      await client.close()
      aside += client.stats().rowsAside
      client = await open(server, options)
    }
  }
  const results = await Promise.all(sends)
  if (spooled) await client.flush()
  const refused = [...poison].filter((id) => id < next).sort((a, b) => a - b)
  const failed = results.flatMap((result) => result.failed).sort((a, b) => a - b)
  if (spool) {
    assert.deepEqual(await idsAside(spool.folder), refused)
    assert.equal(aside + client.stats().rowsAside, refused.length)
  } else assert.deepEqual(failed, refused)
  const kept = [...new Set(idsOf(server))].sort((a, b) => a - b)
  assert.deepEqual(
    kept,
    range(next).filter((id) => !poison.has(id)),
  )
  assert.deepEqual([sentAgain(server), repeats.ids], [[], []])
  assert.equal(client.stats().inFlightBytes, 0)
  assert.ok(server.kept.has(table))
}

/** Streams do not open, or are cut, or fail, half of the time, and everything is away now and then: nothing of that is a row's fault. */
async function flap(seed: number, maxAttempts: number): Promise<void> {
  const random = generator(seed)
  const server = await start({
    fault: () =>
      random() < 0.4 ? { kind: 'status', code: status.UNAVAILABLE } : random() < 0.1 ? { kind: 'cut' } : undefined,
    refuse: () => (random() < 0.3 ? { code: status.UNAVAILABLE, details: 'flapping' } : undefined),
  })
  const spool = { folder: folder() }
  const retry = { maxAttempts, baseDelayMs: 1, maxDelayMs: 2 }
  let client: ZerobusClient = await open(server, { spool, retry })
  let aside = 0
  for (const number of range(FLAPPED)) {
    assert.ok((await client.send(await batchOf(number * 10, 10))).success)
    if (random() < 0.1) await outage(server, random)
    if (random() < 0.3) await passed(random() * 10)
    if (random() < 0.05) {
      await client.close()
      aside += client.stats().rowsAside
      client = await open(server, { spool, retry })
    }
  }
  await client.flush()
  assert.equal(aside + client.stats().rowsAside, 0)
  assert.deepEqual(
    [...new Set(idsOf(server))].sort((a, b) => a - b),
    range(FLAPPED * 10),
  )
}

describe('the Zerobus sender, at random', function () {
  this.timeout(60_000)
  afterEach(endAll)

  for (let number = 0; number < SCHEDULES; number++) {
    const seed = FIRST_SEED + number
    const delivery = DELIVERIES[number % 3] ?? 'flight'
    const spooled = number % 5 === 4
    const way = `${delivery}${spooled ? ', through the spool' : ''}`
    it(`loses nothing: seed ${seed}, ${way}`, () => live(seed, delivery, spooled))
  }

  for (const attempts of [1, 2, 3, 4, 5]) {
    const seed = FIRST_SEED + attempts
    it(`sets nothing aside that a network loses: seed ${seed}, ${attempts} attempts`, () => flap(seed, attempts))
  }
})
