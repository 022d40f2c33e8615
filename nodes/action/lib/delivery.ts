/**
 * Brings deliveries to a transport: bounded, in order by source, so many at a time, each with a time limit and retries.
 *
 * A delivery waits, is tried, and is settled exactly once. While it waits for its next try it holds no place among
 * those at work, but its source waits with it. Only what may work later is tried again, after a random part of a
 * growing time, and not before the other side wants it. After many failures in a row the other side is left alone:
 * what comes meanwhile fails at once.
 */
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { backoff } from '../../shared/network'
import { type Delivery, DriverError, type Receipt, type Sender, type SenderStatus, type Transport } from './driver'
import { Ring, statsOf } from './history'
import type { OutboxOptions } from './outbox'

export interface DeliveryOptions {
  /** For each try. Default 10 s. */
  timeoutMs?: number
  /** Tries after the first. Default 3. */
  retries?: number
  /** The first pause is a random part of this; each further one of twice as much. Default 100 ms. */
  backoffMs?: number
  /** Default 30 s. */
  maxBackoffMs?: number
  /** So many at a time; what is of one source goes one by one. Default 4. */
  concurrency?: number
  /** So many may wait. Default 1000. */
  queue?: number
  /** Default `refuse`: the new one fails. */
  whenFull?: 'refuse' | 'drop-oldest'
  /** So many failures in a row open the circuit; null: never. Default 10. */
  breakAfter?: number | null
  /** Default 30 s. */
  breakMs?: number
  /** So many settled deliveries are remembered. Default 100. */
  history?: number
  /** Deliveries go by way of the disk, and are tried until they arrive: `retries` and `whenFull` are its own. */
  outbox?: OutboxOptions
}

/** How the machine looks at time and chance; tests have their own. */
export interface Seams {
  random?: () => number
  /** Something in the status has changed. */
  changed?: () => void
  /** What was taken could not be delivered after all. */
  undelivered?: (delivery: Delivery, error: EngineError, attempts: number) => void
}

const LATENCIES = 1000
/** No other side is waited for longer than this. */
const MAX_RETRY_AFTER_MS = 3_600_000

interface Job {
  delivery: Delivery
  attempts: number
  start: number
  /** Why the latest try failed. */
  error: EngineError | null
  pause: NodeJS.Timeout | undefined
  resolve(receipt: Receipt): void
  reject(error: EngineError): void
}

export class DirectSender implements Sender {
  private readonly options: Required<Omit<DeliveryOptions, 'history' | 'outbox'>>
  private readonly random: () => number
  private readonly changed: () => void
  /** Everything that waits, pauses included; the oldest first. */
  private readonly waiting = new Set<Job>()
  /** Those that may be tried now. */
  private readonly ready = new Set<Job>()
  /** What waits behind another of its source. */
  private readonly lanes = new Map<string, Job[]>()
  private readonly running = new Map<Job, AbortController>()
  private readonly latencies = new Ring<number>(LATENCIES)
  private readonly counts = { sent: 0, failed: 0, retried: 0, dropped: 0 }
  private lastError: SenderStatus['lastError'] = null
  private recovered = true
  private opening: Promise<void> | undefined
  /** Ends an opening that is under way when the sender closes. */
  private openingAbort: AbortController | undefined
  private opened = false
  private reopen: NodeJS.Timeout | undefined
  private failuresInRow = 0
  private openUntil = Number.NEGATIVE_INFINITY
  private probing = false
  private closing = false
  private drained: (() => void) | undefined

  constructor(
    private readonly transport: Transport,
    options: DeliveryOptions = {},
    { random = Math.random, changed = () => {} }: Seams = {},
  ) {
    this.options = optionsOf(options)
    this.random = random
    this.changed = changed
  }

  open(): Promise<void> {
    return this.ensureOpen().catch((error) => {
      this.openLater(toEngineError(error), 1)
      throw error
    })
  }

  /** `earlier`: so often it was tried before it came here. */
  send(delivery: Delivery, earlier = 0): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const start = performance.now()
      const job: Job = { delivery, attempts: earlier, start, error: null, pause: undefined, resolve, reject }
      if (this.closing) return this.fail(job, closed())
      if (this.waiting.size >= this.options.queue && !this.makeRoom()) return this.fail(job, full(this.options.queue))
      this.waiting.add(job)
      const lane = this.laneOf(job)
      if (lane) lane.push(job)
      else {
        if (delivery.source !== undefined) this.lanes.set(delivery.source, [])
        this.ready.add(job)
      }
      this.pump()
    })
  }

  status(): SenderStatus {
    const now = performance.now()
    const isOpen = this.openUntil > now
    return {
      state: this.closing ? 'closed' : this.opened ? 'ready' : this.lastError ? 'failed' : 'opening',
      circuit: isOpen ? 'open' : this.isBroken() ? 'half-open' : 'closed',
      ...this.counts,
      waiting: this.waiting.size,
      inFlight: this.running.size,
      lastError: this.lastError,
      recovered: this.recovered,
      latencyMs: statsOf(this.latencies.newest()),
    }
  }

  async close(limitMs: number): Promise<void> {
    this.closing = true
    clearTimeout(this.reopen)
    // One more try, now, for those that pause.
    for (const job of this.waiting) if (job.pause) this.wake(job)
    this.pump()
    if (this.waiting.size + this.running.size > 0) {
      let limit: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.drained = resolve
        limit = setTimeout(resolve, limitMs)
      })
      clearTimeout(limit)
    }
    for (const job of [...this.waiting]) this.settle(job, closed())
    for (const abort of this.running.values()) abort.abort(closed())
    if (!this.opened) this.openingAbort?.abort(closed())
  }

  /** Opens the transport, or waits until it is. */
  private ensureOpen(): Promise<void> {
    this.opening ??= this.limited((signal) => this.transport.open(signal), this.renewOpening()).then(
      () => {
        this.opened = true
        this.recovered = true
        this.changed()
      },
      (error) => {
        this.opening = undefined
        this.note(toEngineError(error))
        throw error
      },
    )
    return this.opening
  }

  private renewOpening(): AbortController {
    this.openingAbort = new AbortController()
    return this.openingAbort
  }

  private openLater(error: EngineError, attempt: number): void {
    if (!error.retryable || this.closing) return
    this.reopen = setTimeout(() => {
      this.ensureOpen().catch((again) => this.openLater(toEngineError(again), attempt + 1))
    }, this.pauseOf(attempt)).unref()
  }

  private pump(): void {
    for (const job of this.ready) {
      if (this.running.size >= this.options.concurrency) break
      this.ready.delete(job)
      const pause = this.circuitBreaks(job)
      if (pause) {
        this.settle(job, pause)
        continue
      }
      this.waiting.delete(job)
      void this.run(job)
    }
    this.changed()
  }

  private async run(job: Job): Promise<void> {
    const abort = new AbortController()
    this.running.set(job, abort)
    job.attempts += 1
    if (job.attempts > 1) this.counts.retried += 1
    const outcome = await this.limited(async (signal) => {
      await this.ensureOpen()
      return this.transport.deliver(job.delivery, job.attempts, signal)
    }, abort).then(
      (result) => ({ result }),
      (error) => ({ error: toEngineError(error) }),
    )
    this.running.delete(job)
    this.probing = false
    if ('error' in outcome) this.failed(job, outcome.error)
    else this.succeeded(job, outcome.result)
    this.pump()
  }

  private succeeded(job: Job, result: unknown): void {
    const latencyMs = performance.now() - job.start
    this.recovered = true
    this.failuresInRow = 0
    this.openUntil = Number.NEGATIVE_INFINITY
    this.counts.sent += 1
    this.latencies.push(latencyMs)
    job.resolve({ attempts: job.attempts, latencyMs, result })
    this.leave(job)
  }

  private failed(job: Job, error: EngineError): void {
    job.error = error
    this.note(error)
    this.judgeCircuit(error)
    const isLast = job.attempts > this.options.retries || this.closing
    if (!error.retryable || isLast) return this.settle(job, error)
    const wanted = error instanceof DriverError ? Math.min(error.retryAfterMs, MAX_RETRY_AFTER_MS) : 0
    this.waiting.add(job)
    job.pause = setTimeout(
      () => {
        this.wake(job)
        this.pump()
      },
      Math.max(wanted, this.pauseOf(job.attempts)),
    )
  }

  private pauseOf(attempt: number): number {
    return backoff(attempt, this.options.backoffMs, this.options.maxBackoffMs, this.random)
  }

  private wake(job: Job): void {
    clearTimeout(job.pause)
    job.pause = undefined
    this.ready.add(job)
  }

  private isBroken(): boolean {
    const { breakAfter } = this.options
    return breakAfter !== null && this.failuresInRow >= breakAfter
  }

  /** Why a job may not be tried now. Of an open circuit whose time is over, one job tries. */
  private circuitBreaks(job: Job): EngineError | null {
    if (!this.isBroken()) return null
    if (performance.now() >= this.openUntil && !this.probing) {
      this.probing = true
      return null
    }
    if (job.error) return job.error
    const reason = this.lastError?.message ?? ''
    const text = `after ${this.failuresInRow} failures in a row there is a pause: ${reason}`
    const retryAfterMs = Math.max(0, this.openUntil - performance.now())
    return new DriverError('CIRCUIT_OPEN', text, { retryAfterMs })
  }

  private judgeCircuit(error: EngineError): void {
    // Who refuses is there.
    this.failuresInRow = error.retryable ? this.failuresInRow + 1 : 0
    if (this.isBroken()) this.openUntil = performance.now() + this.options.breakMs
  }

  private laneOf({ delivery }: Job): Job[] | undefined {
    return delivery.source === undefined ? undefined : this.lanes.get(delivery.source)
  }

  /** The next of its source may go. */
  private leave(job: Job): void {
    const { source } = job.delivery
    if (source !== undefined) {
      const next = this.lanes.get(source)?.shift()
      if (next) this.ready.add(next)
      else this.lanes.delete(source)
    }
    if (this.closing && this.waiting.size + this.running.size === 0) this.drained?.()
  }

  /** Gives a job up that waits or was at work. */
  private settle(job: Job, error: EngineError): void {
    clearTimeout(job.pause)
    this.waiting.delete(job)
    const lane = this.laneOf(job)
    const place = lane?.indexOf(job) ?? -1
    this.ready.delete(job)
    this.fail(job, error)
    // One that waits behind another holds nobody up.
    if (place >= 0) lane?.splice(place, 1)
    else this.leave(job)
  }

  private fail(job: Job, error: EngineError): void {
    this.counts.failed += 1
    if (error instanceof DriverError) error.attempts = job.attempts
    job.reject(error)
  }

  private makeRoom(): boolean {
    if (this.options.whenFull === 'refuse') return false
    const [oldest] = this.waiting
    if (!oldest) return false
    this.counts.dropped += 1
    this.settle(oldest, full(this.options.queue))
    return true
  }

  private note({ code, message }: EngineError): void {
    this.lastError = { code, message, at: Date.now() }
    this.recovered = false
    this.changed()
  }

  /** Runs `work` for as long as one try may take; what it does after that concerns nobody. */
  private async limited<T>(work: (signal: AbortSignal) => Promise<T>, abort = new AbortController()): Promise<T> {
    const { timeoutMs } = this.options
    const timer = setTimeout(() => abort.abort(late(timeoutMs)), timeoutMs)
    const given = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true })
    })
    try {
      return await Promise.race([work(abort.signal), given])
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : error
    } finally {
      clearTimeout(timer)
    }
  }
}

function late(timeoutMs: number): DriverError {
  const message = `no answer within ${timeoutMs} ms; see whether the other side works, or raise the time limit`
  return new DriverError('TIMEOUT', message, { fault: 'timeout' })
}

function closed(): EngineError {
  return new EngineError('CLOSED', 'the driver is closed; what was not delivered by then is not delivered')
}

function full(queue: number): EngineError {
  return new EngineError('BUFFER_FULL', `${queue} of ${queue} deliveries wait; raise the queue, or send fewer`)
}

const DAY_MS = 86_400_000
const ranges = {
  timeoutMs: [10_000, 1, DAY_MS],
  retries: [3, 0, 1000],
  backoffMs: [100, 0, DAY_MS],
  maxBackoffMs: [30_000, 0, DAY_MS],
  concurrency: [4, 1, 1000],
  queue: [1000, 1, 1_000_000],
  breakMs: [30_000, 0, DAY_MS],
} as const

function optionsOf(given: DeliveryOptions): Required<Omit<DeliveryOptions, 'history' | 'outbox'>> {
  const numbers = Object.entries(ranges).map(([name, [normal, min, max]]) => {
    const value = given[name as keyof typeof ranges] ?? normal
    return [name, inRange(name, value, min, max)]
  })
  const { whenFull = 'refuse', breakAfter = 10 } = given
  if (whenFull !== 'refuse' && whenFull !== 'drop-oldest') {
    throw new EngineError('INVALID_OPTION', `whenFull is ${quote(whenFull)}; it must be refuse or drop-oldest`)
  }
  if (breakAfter !== null) inRange('breakAfter', breakAfter, 1, 1_000_000)
  return { ...Object.fromEntries(numbers), whenFull, breakAfter }
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a number from ${min} to ${max}`)
}
