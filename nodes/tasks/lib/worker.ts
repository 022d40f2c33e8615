/** Takes tasks and sees to it that each is reported on. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { EngineError, quote } from '../../shared/errors'
import { toJson } from '../../shared/json'
import { checkOptions, type Known } from '../../shared/options'
import type { Broker, Failure, Rate, Report, Taken, Taker } from './broker'
import { fetchAll, inPlace, refsOf } from './payloads'
import { LONGEST_MS } from './result'

export interface WorkerOptions {
  /** Names or patterns with `*` and `?`. Default: all. */
  queues?: readonly string[]
  /** Names or patterns. Default: the tasks of the app. */
  tasks?: readonly string[]
  /** So many run at once. Default 10. */
  concurrency?: number
  /** So many are taken at once; those beyond `concurrency` wait here, and keep their lease. Default: as `concurrency`. */
  prefetch?: number
  /** The task of a worker that is not heard of for so long goes to another. Default 30,000. */
  leaseMs?: number
  /** How many begin in a second. */
  rate?: Rate
  /** As it appears in results and lists. */
  name?: string
  /** Whether tasks are kept alive while they run. Without: each has to report within its lease. Default true. */
  heartbeat?: boolean
  /** Told of what goes wrong between this worker and its broker. */
  onError?: (error: unknown) => void
}

const KNOWN: Known<WorkerOptions> = {
  ...{ queues: 'any', tasks: 'any', concurrency: 'any', prefetch: 'any', leaseMs: 'any', rate: 'any', name: 'any' },
  ...{ heartbeat: 'any', onError: 'any' },
}

export interface RetryOptions {
  /** None: that of the task's policy. */
  delayMs?: number
  /** Why. */
  error?: unknown
}

/** Thrown by a handler that wants another attempt, whatever the policy says of types. */
export class Retry extends Error {
  constructor(readonly options: RetryOptions = {}) {
    super('another attempt is wanted')
    this.name = 'Retry'
    checkDelay(options.delayMs)
  }
}

/** A task that a worker has: what its handler gets as the last argument. */
export class Running {
  readonly id: string
  readonly name: string
  readonly queue: string
  args: readonly unknown[]
  kwargs: Record<string, unknown>
  readonly headers: Record<string, unknown>
  /** Attempts that failed before. */
  readonly retries: number
  /** How often it was handed out, this time included. */
  readonly deliveries: number
  /** All that was sent. */
  readonly message: Record<string, unknown>
  /** Called when it is not this worker's any more, however it ended. */
  onEnd: () => void = nothing
  /** Called when it has to stop: the reason of `signal`. */
  onStop: (reason: EngineError) => void = nothing
  /** Made when it is asked for: most tasks never look at it, and it costs more than all the rest of them. */
  private abort: AbortController | undefined
  private stopped: EngineError | undefined
  private begun = false

  /** @internal */
  constructor(
    /** @internal */
    readonly token: number,
    { message, queue, retries, deliveries }: Taken,
    private readonly owner: Owner,
  ) {
    this.id = String(message.id)
    this.name = String(message.name)
    this.queue = queue
    this.args = (message.args as unknown[] | undefined) ?? []
    this.kwargs = (message.kwargs as Record<string, unknown> | undefined) ?? {}
    this.headers = (message.headers as Record<string, unknown> | undefined) ?? {}
    this.retries = retries
    this.deliveries = deliveries
    this.message = message
  }

  /** Aborted when the task is revoked, or its time is over: `reason.code` tells. */
  get signal(): AbortSignal {
    this.abort ??= new AbortController()
    if (this.stopped) this.abort.abort(this.stopped)
    return this.abort.signal
  }

  /** How far it is, as JSON. Also says that it is alive. All reports resolve to false where they came too late. */
  async progress(value: unknown): Promise<boolean> {
    const payload = toJson(value, 'progress')
    this.begin()
    return this.owner.settle(this, 'progress', payload)
  }

  /** Says once that it is more than handed out. What ends at once need not say so. */
  async started(): Promise<void> {
    if (this.begun) return
    this.begun = true
    await this.owner.settle(this, 'started')
  }

  async done(result: unknown): Promise<boolean> {
    return this.owner.settle(this, 'done', resultJson(result))
  }

  async fail(error: unknown): Promise<boolean> {
    if (error instanceof Retry) return this.retry(error.options)
    return this.owner.settle(this, 'failed', JSON.stringify(failureOf(error)))
  }

  async retry({ delayMs, error }: RetryOptions = {}): Promise<boolean> {
    checkDelay(delayMs)
    const asked = { delayMs, error: failureOf(error ?? new Retry()) }
    return this.owner.settle(this, 'retry', JSON.stringify(asked))
  }

  /** @internal As `started`, for who does not wait for it. */
  begin(): void {
    if (this.begun) return
    this.begun = true
    this.owner.tell(this, 'started')
  }

  /** @internal As `done`, for who does not ask whether it came too late. */
  end(result: unknown): void {
    this.owner.tell(this, 'done', resultJson(result))
  }

  /** @internal */
  stop(reason: EngineError): void {
    this.stopped ??= reason
    this.abort?.abort(reason)
    this.onStop(reason)
  }
}

/** Who has it to report on. */
interface Owner {
  settle(running: Running, report: Report, payload?: string): Promise<boolean>
  /** The same for who does not ask how it ended. */
  tell(running: Running, report: Report, payload?: string): void
}

const nothing = () => {}

const DEFAULT_CONCURRENCY = 10
const DEFAULT_LEASE_MS = 30_000
/** So long `stop` waits for what runs. */
const DRAIN_MS = 5000
/** Of each text of an error. */
const TEXT_MAX = 4000
const TOO_LATE = Promise.resolve(false)

export class Worker implements Owner {
  readonly name: string
  private readonly concurrency: number
  private readonly leaseMs: number
  private taker: Taker | undefined
  private starting: Promise<void> | undefined
  private stopping: Promise<void> | undefined
  private draining = false
  /** Those that wait here for their turn, too. */
  private readonly held = new Map<number, Running>()
  private readonly begun = new Set<Running>()
  private waiting: Running[] = []
  private beginning = false
  private heartbeat: NodeJS.Timeout | undefined
  private idle: (() => void)[] = []

  /** @internal */
  constructor(
    private readonly broker: Broker,
    private readonly options: WorkerOptions,
    /** Sees to it that the task is reported on, at once or later. */
    private readonly begin: (running: Running) => void,
  ) {
    checkOptions('a worker', options, KNOWN)
    this.name = options.name ?? `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
    this.concurrency = options.concurrency ?? DEFAULT_CONCURRENCY
    this.leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS
    if (!(Number.isInteger(this.concurrency) && this.concurrency > 0)) {
      const text = `concurrency is ${this.concurrency}; it must be a whole number above 0`
      throw new EngineError('INVALID_OPTION', text)
    }
  }

  /** How many run now. */
  get running(): number {
    return this.begun.size
  }

  /** Begins to take tasks. */
  start(): Promise<void> {
    this.starting ??= this.open()
    return this.starting
  }

  /** Takes no more, waits for what runs, gives back the rest. */
  stop({ drainMs = DRAIN_MS } = {}): Promise<void> {
    this.stopping ??= this.end(drainMs)
    return this.stopping
  }

  private async open(): Promise<void> {
    const { queues = [], tasks = [], prefetch = this.concurrency, rate } = this.options
    const options = { name: this.name, queues, tasks, prefetch, leaseMs: this.leaseMs, ...(rate && { rate }) }
    this.taker = await this.broker.take(options, {
      task: (taken) => this.take(taken),
      cancel: (token) => this.cancel(this.held.get(token)),
      lost: (token) => this.lose(this.held.get(token)),
      gone: () => {
        // First all: what is freed makes room for the next.
        this.waiting = []
        for (const running of [...this.held.values()]) this.lose(running)
      },
      failed: (error) => this.options.onError?.(error),
    })
    this.next()
    const keepsAll = this.options.heartbeat ?? true
    this.heartbeat = setInterval(
      () => {
        for (const [token, running] of this.held) {
          if (keepsAll || !this.begun.has(running)) this.taker?.tell('heartbeat', token)
        }
      },
      Math.min(this.leaseMs / 3, LONGEST_MS),
    ).unref()
  }

  private async end(drainMs: number): Promise<void> {
    this.draining = true
    await this.starting?.catch(() => {})
    const { taker } = this
    if (!taker) return
    for (const running of this.waiting.splice(0)) this.giveBack(running)
    await taker.drain()
    if (this.begun.size > 0) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, Math.min(drainMs, LONGEST_MS))
        this.idle.push(resolve)
      })
      clearTimeout(timer)
    }
    clearInterval(this.heartbeat)
    for (const running of this.begun) {
      running.stop(closing())
      running.onEnd()
    }
    this.held.clear()
    this.begun.clear()
    await taker.close()
  }

  /** @internal */
  settle(running: Running, report: Report, payload?: string): Promise<boolean> {
    const { taker } = this
    if (!taker || this.held.get(running.token) !== running) return TOO_LATE
    const reported = taker.report(report, running.token, payload)
    if (report === 'done' && running.message.refs) this.drop(running, reported)
    if (ends(report)) this.free(running)
    return reported
  }

  /** @internal */
  tell(running: Running, report: Report, payload?: string): void {
    if (this.held.get(running.token) !== running) return
    if (report === 'done' && running.message.refs) {
      this.settle(running, report, payload).catch((error) => this.options.onError?.(error))
      return
    }
    this.taker?.tell(report, running.token, payload)
    if (ends(report)) this.free(running)
  }

  private take(taken: Taken): void {
    const running = new Running(taken.token, taken, this)
    this.held.set(taken.token, running)
    if (this.draining) return this.giveBack(running)
    if (taken.message.refs) return void this.bring(running)
    this.waiting.push(running)
    this.next()
  }

  /** Fetches the Buffers of its arguments before it begins. */
  private async bring(running: Running): Promise<void> {
    try {
      const parts = await fetchAll(this.broker.payloads, refsOf(running.message))
      running.args = inPlace(running.args, parts) as unknown[]
      running.kwargs = inPlace(running.kwargs, parts) as Record<string, unknown>
    } catch (error) {
      // What is not kept any more no attempt finds; a server that is away may come back.
      const final = (error as EngineError).code === 'NOT_FOUND'
      return this.tell(running, 'failed', JSON.stringify({ ...failureOf(error), final }))
    }
    if (this.held.get(running.token) !== running) return
    if (this.draining) return this.giveBack(running)
    this.waiting.push(running)
    this.next()
  }

  /** Of a task that ended well nobody needs its Buffers. */
  private async drop({ message }: Running, reported: Promise<boolean>): Promise<void> {
    try {
      if (await reported) await this.broker.payloads.drop(refsOf(message))
    } catch {
      // What is not deleted now goes by its time.
    }
  }

  private cancel(running: Running | undefined): void {
    running?.stop(revoked())
    // What has not begun need not be stopped.
    if (running && !this.begun.has(running)) this.tell(running, 'revoked')
  }

  private lose(running: Running | undefined): void {
    if (!running) return
    this.free(running)
    running.stop(overdue())
  }

  private giveBack({ token }: Running): void {
    this.held.delete(token)
    this.taker?.tell('give-back', token)
  }

  private next(): void {
    // One that ends at once comes here again: its turn goes on below, and not on top of the stack.
    if (this.beginning) return
    this.beginning = true
    try {
      // The first tasks may be here before the taker is.
      while (this.taker && !this.draining && this.begun.size < this.concurrency) {
        const running = this.waiting.shift()
        if (!running) return
        this.begun.add(running)
        this.begin(running)
      }
    } finally {
      this.beginning = false
    }
  }

  private free(running: Running): void {
    this.held.delete(running.token)
    if (!this.begun.delete(running)) {
      this.waiting = this.waiting.filter((other) => other !== running)
      return
    }
    running.onEnd()
    if (this.begun.size === 0) for (const resume of this.idle.splice(0)) resume()
    this.next()
  }
}

function checkDelay(delayMs: unknown): void {
  if (delayMs === undefined || (Number.isFinite(delayMs) && Number(delayMs) >= 0)) return
  throw new EngineError('INVALID_OPTION', `delayMs is ${quote(delayMs)}; it must be milliseconds, 0 or more`)
}

function ends(report: Report): boolean {
  return report !== 'progress' && report !== 'started'
}

function resultJson(result: unknown): string {
  return result === undefined ? 'null' : toJson(result, 'result')
}

/** Anything may be thrown, with fields of any kind: what cannot be told would leave the task without an end. */
export function failureOf(error: unknown): Failure {
  const { type, name, message, code, stack } = (error ?? {}) as Record<string, unknown>
  const isError = error instanceof Error
  if (!isError && typeof message !== 'string') return { type: 'Error', message: told(error) }
  return {
    type: told((isError ? name : (type ?? name)) ?? 'Error'),
    message: told(message),
    ...(code !== undefined && code !== null && code !== '' && { code: told(code) }),
    ...(typeof stack === 'string' && { traceback: told(stack) }),
  }
}

/** As a text of bounded length, of whole characters. */
function told(value: unknown): string {
  let text: string
  try {
    text = String(value)
  } catch {
    // It has no text, such as an object without a prototype.
    text = Object.prototype.toString.call(value)
  }
  return text.slice(0, TEXT_MAX).toWellFormed()
}

function revoked(): EngineError {
  return new EngineError('REVOKED', 'the task was called off')
}

function overdue(): EngineError {
  return new EngineError('TIMEOUT', 'the time of the task is over; what it still reports comes too late')
}

function closing(): EngineError {
  return new EngineError('CLOSED', 'the worker stops; the task goes to another')
}
