/**
 * Takes deliveries onto the disk and brings them to the other side from there: what was taken leaves in the order of
 * its source, at least once, whatever happens to this process.
 *
 * What may work later is tried until it does, after pauses that grow. What cannot is settled as a failure, so that it
 * holds up nobody behind it. A delivery is acknowledged when it is settled, and not before.
 */
import { deserialize, serialize } from 'node:v8'
import type { Spool, SpoolRecord } from '#native'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { native } from '../../shared/native'
import { backoff } from '../../shared/network'
import { type DeliveryOptions, DirectSender, type Seams } from './delivery'
import {
  type Delivery,
  DriverError,
  type Receipt,
  type Sender,
  type SenderStatus,
  type Settled,
  type Transport,
} from './driver'

export interface OutboxOptions {
  /** A folder of its own; one process at a time can have it. */
  folder: string
  /** So much it takes on the disk at most. Default 1 GiB. */
  maxBytes?: number
  /** Default `refuse`: the new one fails. `drop-oldest` lets many of the oldest go at once, which is counted. */
  whenFull?: 'refuse' | 'drop-oldest'
}

/** So much is written, and read, at a time. */
const BATCH_BYTES = 1 << 18
/** More is read when fewer than so many are in hand. */
const IN_HAND = 1000
/** So many of one source wait in hand: the rest waits on the disk, so that a source that is stuck holds up no other. */
const LANE = 32
/** About so much of the disk has them. */
const LANE_BYTES = 1 << 14
/** What was under way when it closes has so long; all else stays on the disk. */
const DRAIN_MS = 2000
/** A store that failed is tried again after this. */
const STORE_PAUSE_MS = 1000
/** While another delivery finds out whether the circuit may close. */
const CIRCUIT_PAUSE_MS = 100

interface Entry {
  bytes: Buffer
  start: number
  resolve(receipt: Receipt): void
  reject(error: EngineError): void
}

interface Item {
  /** Which opening of the store its number is of. */
  era: number
  seq: number
  atMs: number
  delivery: Delivery
  attempts: number
}

export class OutboxSender implements Sender {
  onSettled: ((settled: Settled) => void) | undefined
  private readonly direct: DirectSender
  private readonly queue: number
  private readonly concurrency: number
  private readonly retries: number
  private readonly backoffMs: number
  private readonly maxBackoffMs: number
  private readonly random: () => number
  private readonly changed: () => void
  private opening: Promise<Spool> | undefined
  private spool: Spool | undefined
  /** To be written to the disk. */
  private entries: Entry[] = []
  private writing: Promise<void> | undefined
  /** So often the store was shut. */
  private era = 0
  private shutting: Promise<void> = Promise.resolve()
  /** The next record that was never read. */
  private next = 0
  /** Of a source that has more on the disk than in hand: the first record of it that was passed over. */
  private readonly behind = new Map<string, number>()
  private reading = false
  /** Something came since the latest reading began. */
  private unread = false
  /** Read and not acknowledged. */
  private readonly inHand = new Set<number>()
  /** What waits behind another of its source. */
  private readonly lanes = new Map<string, Item[]>()
  private readonly ready: Item[] = []
  private readonly pauses = new Set<NodeJS.Timeout>()
  /** Nothing is tried before it ends: the circuit is open. */
  private hold: NodeJS.Timeout | undefined
  private trying = 0
  private unacked: number[] = []
  private acking: Promise<void> | undefined
  /** The failure of the store that the latest acknowledgement was. */
  private ackError: SenderStatus['lastError'] = null
  private failed = 0
  private storeError: SenderStatus['lastError'] = null
  private closing = false

  constructor(
    transport: Transport,
    private readonly options: OutboxOptions,
    delivery: DeliveryOptions = {},
    seams: Seams = {},
  ) {
    checkOptions(options)
    // One try a time: a delivery that waits for its next one must not take the place of another.
    this.direct = new DirectSender(transport, { ...delivery, retries: 0, whenFull: 'refuse' }, seams)
    const { queue = 1000, concurrency = 4, retries = 3, backoffMs = 100, maxBackoffMs = 30_000 } = delivery
    this.retries = retries
    this.queue = queue
    this.concurrency = Math.min(concurrency, queue)
    this.backoffMs = backoffMs
    this.maxBackoffMs = maxBackoffMs
    this.random = seams.random ?? Math.random
    this.changed = seams.changed ?? (() => {})
  }

  async open(): Promise<void> {
    await this.store()
    await this.direct.open()
  }

  /** Resolves when it is on the disk. */
  send(delivery: Delivery): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const start = performance.now()
      const refuse = (error: EngineError) => {
        this.failed += 1
        reject(error)
      }
      if (this.closing) return refuse(closed())
      if (this.entries.length >= this.queue) {
        const text = `${this.queue} of ${this.queue} deliveries wait for the disk; raise the queue, or send fewer`
        return refuse(new EngineError('BUFFER_FULL', text))
      }
      try {
        this.entries.push({ bytes: serialize(delivery), start, resolve, reject: refuse })
      } catch (cause) {
        return refuse(new EngineError('INVALID_INPUT', `the data cannot be stored: ${text(cause)}`, { cause }))
      }
      this.writing ??= this.write()
    })
  }

  status(): SenderStatus {
    const direct = this.direct.status()
    const stats = this.stats()
    const { records = 0, bytes = 0, dropped = 0, damaged = 0, oldestMs = null } = stats ?? {}
    const waiting = Math.max(0, records - direct.inFlight) + this.entries.length
    const broken = this.storeError && { state: 'failed' as const, lastError: this.storeError, recovered: false }
    const outbox = { records, bytes, damaged, oldestMs: oldestMs ?? null }
    return { ...direct, failed: this.failed, dropped, waiting, outbox, ...(!this.closing && broken) }
  }

  /** What is on the disk stays there. */
  async close(limitMs: number): Promise<void> {
    this.closing = true
    clearTimeout(this.hold)
    for (const pause of this.pauses) clearTimeout(pause)
    await this.writing
    await this.direct.close(Math.min(limitMs, DRAIN_MS))
    // What the end of the driver settled is told a turn later.
    await new Promise(setImmediate)
    await this.acking
    await (await this.opening?.catch(() => undefined))?.close()
  }

  /** The open spool. One that does not open is tried again by each delivery, and by itself where it may work later. */
  private store(): Promise<Spool> {
    this.opening ??= this.openSpool().catch((cause) => {
      const error = toEngineError(cause)
      this.opening = undefined
      this.storeFailed(error)
      if (error.retryable) this.later(() => this.store().catch(() => {}), STORE_PAUSE_MS)
      throw error
    })
    return this.opening
  }

  private async openSpool(): Promise<Spool> {
    const { folder, maxBytes, whenFull } = this.options
    await this.shutting
    this.spool = await native().Spool.open(folder, JSON.stringify({ maxBytes, whenFull }))
    this.storeError = null
    this.read()
    return this.spool
  }

  private stats() {
    try {
      return this.spool?.stats()
    } catch {
      // It closes.
      return undefined
    }
  }

  /** One write after the other: what comes meanwhile goes together, in its order. */
  private async write(): Promise<void> {
    try {
      while (this.entries.length > 0) {
        let bytes = 0
        const end = this.entries.findIndex((entry, at) => {
          bytes += entry.bytes.length
          return at > 0 && bytes > BATCH_BYTES
        })
        await this.append(this.entries.splice(0, end < 0 ? this.entries.length : end))
      }
    } finally {
      // In the same turn as the last look: what comes after it begins anew.
      this.writing = undefined
    }
  }

  private async append(entries: Entry[]): Promise<void> {
    try {
      const spool = await this.store()
      const first = await spool.append(entries.map(({ bytes }) => bytes))
      this.storeError = null
      entries.forEach(({ start, resolve }, at) => {
        resolve({ attempts: 0, latencyMs: performance.now() - start, result: undefined, stored: first + at })
      })
      this.read()
    } catch (cause) {
      const error = toEngineError(cause)
      // All or none were taken: some of them may do.
      if (entries.length > 1) for (const entry of entries) await this.append([entry])
      else {
        if (error.code !== 'TOO_LARGE') this.storeFailed(error)
        if (error.code === 'STORE_FAILED') await this.shut()
        entries[0]?.reject(error)
      }
    }
  }

  /**
   * A spool whose disk failed takes nothing until it is opened again. What it then has is read anew: it may be another
   * one, with the same numbers.
   */
  private async shut(): Promise<void> {
    const { spool } = this
    if (!spool) return
    this.spool = undefined
    this.opening = undefined
    this.era += 1
    this.next = 0
    this.ready.length = 0
    this.unacked = []
    for (const known of [this.inHand, this.lanes, this.behind]) known.clear()
    this.shutting = spool.close()
    await this.shutting
    this.later(() => this.store().catch(() => {}), STORE_PAUSE_MS)
  }

  /** Reads what waits, as long as there is room for it in hand. */
  private read(): void {
    this.unread = true
    const { spool } = this
    if (this.reading || this.closing || !spool) return
    const source = this.shortSource()
    if (source === undefined && this.inHand.size >= IN_HAND) return
    this.reading = true
    this.unread = false
    const from = source === undefined ? this.next : (this.behind.get(source) ?? this.next)
    spool
      .read(from, source === undefined ? BATCH_BYTES : LANE_BYTES)
      .then(
        (records) => {
          if (spool !== this.spool) return true
          if (source === undefined) for (const record of records) this.take(record)
          else this.refill(source, records)
          return records.length > 0 || this.unread
        },
        (error) => {
          this.storeFailed(toEngineError(error))
          this.later(() => this.read(), STORE_PAUSE_MS)
          return false
        },
      )
      .then((more) => {
        this.reading = false
        this.pump()
        if (more) this.read()
      })
  }

  /** A source that has more on the disk, and little in hand. */
  private shortSource(): string | undefined {
    for (const source of this.behind.keys()) if ((this.lanes.get(source)?.length ?? 0) < LANE / 2) return source
    return undefined
  }

  /** What was never read. */
  private take(record: SpoolRecord): void {
    const { seq, atMs, data } = record
    this.next = seq + 1
    const item = this.itemOf(record)
    if (!item) {
      const text = `record ${seq} of outbox ${quote(this.options.folder)} cannot be read; it is given as it is`
      const raw: Item = { era: this.era, seq, atMs, attempts: 0, delivery: { kind: 'message', data } }
      this.inHand.add(seq)
      return this.settle(raw, new EngineError('STORE_CORRUPT', text))
    }
    const { source } = item.delivery
    // Behind what was passed over all of its source is passed over.
    if (source === undefined || !this.behind.has(source)) this.enter(item)
  }

  /** More of a source: of what had been passed over. */
  private refill(source: string, records: SpoolRecord[]): void {
    this.behind.delete(source)
    for (const record of records) {
      // From here on nothing has been read.
      if (record.seq >= this.next) return
      const item = this.inHand.has(record.seq) ? undefined : this.itemOf(record)
      if (item?.delivery.source !== source) continue
      this.enter(item)
      if (this.behind.has(source)) return
    }
    const last = records.at(-1)
    if (last && last.seq + 1 < this.next) this.behind.set(source, last.seq + 1)
  }

  /** Takes it in hand, or passes it over where there is enough of its source. */
  private enter(item: Item): void {
    const { source } = item.delivery
    const lane = source === undefined ? undefined : this.lanes.get(source)
    if (source !== undefined && lane && lane.length >= LANE) {
      this.behind.set(source, item.seq)
      return
    }
    this.inHand.add(item.seq)
    if (lane) lane.push(item)
    else {
      if (source !== undefined) this.lanes.set(source, [])
      this.ready.push(item)
    }
  }

  private itemOf({ seq, atMs, data }: SpoolRecord): Item | undefined {
    const delivery = deliveryOf(data)
    return delivery && { era: this.era, seq, atMs, attempts: 0, delivery }
  }

  private pump(): void {
    while (!this.closing && !this.hold && this.trying < this.concurrency) {
      const item = this.ready.shift()
      if (!item) break
      this.trying += 1
      this.direct.send(item.delivery, item.attempts).then(
        ({ attempts }) => this.tried({ ...item, attempts }, null),
        (error) => this.tried(item, toEngineError(error)),
      )
    }
    this.changed()
  }

  private tried(item: Item, error: EngineError | null): void {
    this.trying -= 1
    if (item.era !== this.era) {
      // It was read anew, if it is still there.
    } else if (!error) {
      clearTimeout(this.hold)
      this.hold = undefined
      this.settle(item, null)
    } else if (this.closing && (error.retryable || error.code === 'CLOSED')) {
      // It stays on the disk.
    } else if (error.code === 'CIRCUIT_OPEN') {
      this.ready.unshift(item)
      const again = () => {
        this.hold = undefined
        this.pump()
      }
      this.hold ??= setTimeout(again, Math.max(CIRCUIT_PAUSE_MS, wantedBy(error)))
    } else {
      item.attempts += 1
      const isLast = error instanceof DriverError && error.suspect && item.attempts > this.retries
      if (error.retryable && !isLast) this.retry(item, wantedBy(error))
      else this.settle(item, error)
    }
    this.pump()
  }

  private retry(item: Item, wantedMs: number): void {
    const pause = backoff(item.attempts, this.backoffMs, this.maxBackoffMs, this.random)
    this.later(
      () => {
        if (item.era === this.era) this.ready.push(item)
        this.pump()
      },
      Math.max(wantedMs, pause),
    )
  }

  private settle({ seq, atMs, attempts, delivery }: Item, error: EngineError | null): void {
    if (error) this.failed += 1
    const { source } = delivery
    if (source !== undefined) {
      const next = this.lanes.get(source)?.shift()
      if (next) this.ready.push(next)
      else this.lanes.delete(source)
    }
    this.onSettled?.({ delivery, attempts, latencyMs: Math.max(0, Date.now() - atMs), error })
    this.unacked.push(seq)
    this.acknowledgeSoon()
  }

  private acknowledgeSoon(): void {
    this.acking ??= this.acknowledge()
  }

  private async acknowledge(): Promise<void> {
    // What is settled in one turn is acknowledged together.
    await new Promise(setImmediate)
    try {
      while (this.unacked.length > 0 && this.spool) await this.acknowledgeTo(this.spool)
      if (this.storeError === this.ackError) this.storeError = null
    } catch (error) {
      // They leave again after a restart, if no later turn does better.
      this.storeFailed(toEngineError(error))
      this.ackError = this.storeError
      this.later(() => this.acknowledgeSoon(), STORE_PAUSE_MS)
    } finally {
      this.acking = undefined
    }
    this.changed()
    this.read()
  }

  private async acknowledgeTo(spool: Spool): Promise<void> {
    const numbers = this.unacked
    this.unacked = []
    const failure = await spool.ack(numbers).then(
      () => null,
      (error) => error,
    )
    // Of a store that was shut nothing is in hand.
    if (spool !== this.spool) return
    if (!failure) for (const number of numbers) this.inHand.delete(number)
    else {
      this.unacked.unshift(...numbers)
      throw failure
    }
  }

  private storeFailed({ code, message }: EngineError): void {
    if (this.closing) return
    this.storeError = { code, message, at: Date.now() }
    this.changed()
  }

  private later(call: () => void, ms: number): void {
    if (this.closing) return
    const pause = setTimeout(() => {
      this.pauses.delete(pause)
      call()
    }, ms)
    this.pauses.add(pause)
  }
}

function deliveryOf(bytes: Buffer): Delivery | undefined {
  try {
    const { kind, data, source } = deserialize(bytes) as Delivery
    return kind && { kind, data, ...(source !== undefined && { source }) }
  } catch {
    return undefined
  }
}

/** How long the other side, or the circuit, wants to be left alone. */
function wantedBy(error: EngineError): number {
  return error instanceof DriverError ? error.retryAfterMs : 0
}

function checkOptions({ folder, maxBytes, whenFull }: OutboxOptions): void {
  if (typeof folder !== 'string' || folder === '') {
    throw new EngineError('INVALID_OPTION', `the folder of the outbox is ${quote(folder)}; it must be a path`)
  }
  if (maxBytes !== undefined && !(maxBytes >= 1)) {
    throw new EngineError('INVALID_OPTION', `maxBytes of the outbox is ${quote(maxBytes)}; it must be a number over 0`)
  }
  if (whenFull !== undefined && whenFull !== 'refuse' && whenFull !== 'drop-oldest') {
    throw new EngineError('INVALID_OPTION', `whenFull is ${quote(whenFull)}; it must be refuse or drop-oldest`)
  }
}

function closed(): EngineError {
  return new EngineError('CLOSED', 'the driver is closed; it takes nothing more')
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
