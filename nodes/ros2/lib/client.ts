import { EngineError, toEngineError } from '../../shared/errors'
import { engine } from '../../shared/native'
import type { Codec } from './codec'
import type { Caller } from './transport'

export interface CallOptions {
  /** How long to wait for the server and its answer, together. Default 5000. */
  timeoutMs?: number
  /** Gives the call up; it fails with `CLOSED`. */
  signal?: AbortSignal
}

/** What a service asks for and what it answers. */
export interface ServiceCodecs {
  request: Codec
  response: Codec
}

const TIMEOUT_MS = 5000
/** That both ends have found each other tells nobody: look again. */
const LOOK_MS = 25
/** Whether a server is still there, while calls wait for it. */
const WATCH_MS = 250
const PENDING_MAX = 1000
const TURN = 64

interface Pending {
  resolve(response: Record<string, unknown>): void
  reject(error: EngineError): void
}

/** Calls one service until it is closed. Many calls may be on their way at a time. */
export class ServiceClient {
  private readonly caller: Caller
  private readonly calls = new Map<number, Pending>()
  /** Calls on their way, and those that wait for the server. */
  private readonly stops = new Set<(error: EngineError) => void>()
  private watch: NodeJS.Timeout | undefined
  private draining = false
  private closed = false

  /** @internal */
  constructor(
    readonly service: string,
    private readonly codecs: ServiceCodecs,
    open: (onReady: () => void) => Caller,
  ) {
    this.caller = engine(() => open(() => this.drain()))
  }

  /** So many calls are not answered yet. */
  get pending(): number {
    return this.stops.size
  }

  /** False after `close`, and after a failure that nothing can follow. */
  get isOpen(): boolean {
    return !this.closed
  }

  /** Whether a server is there, now. */
  isReady(): boolean {
    return !this.closed && engine(() => this.caller.servers()) > 0
  }

  /** Ends when a server is there. */
  ready(options: CallOptions = {}): Promise<void> {
    return this.within(options, (settle) => {
      this.whenReady(settle, () => {
        settle.resolve()
        return true
      })
    })
  }

  /**
   * The response to a request, an object; fields that are missing get their defaults. Fails with `TRANSPORT` when
   * no server is there in time, or it leaves, and with `TIMEOUT` when it does not answer.
   */
  call(request: unknown, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.within(options, (settle: Settle<Record<string, unknown>>) => {
      const cdr = this.encode(request)
      this.whenReady(settle, () => {
        const number = this.send(cdr)
        if (number === undefined) return false
        settle.sent = true
        settle.onEnd(() => {
          this.calls.delete(number)
          this.caller.forget?.(number)
        })
        this.calls.set(number, settle)
        this.watch ??= setInterval(() => this.look(), WATCH_MS).unref()
        return true
      })
    })
  }

  /** A request as it is sent; `call` takes that, too. */
  encode(request: unknown): Buffer {
    return Buffer.isBuffer(request) ? request : this.codecs.request.encode(request)
  }

  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.watch)
    for (const stop of [...this.stops]) stop(closed(this.service))
    await this.caller.close()
  }

  /** Undefined while the server has not received what was sent before. */
  private send(cdr: Buffer): number | undefined {
    try {
      return this.caller.call(cdr)
    } catch (error) {
      const failure = toEngineError(error)
      if (failure.code === 'BUFFER_FULL') return undefined
      throw failure
    }
  }

  /** A promise that ends by itself at the end of its time, with the signal, or with this client. */
  private within<T>({ timeoutMs = TIMEOUT_MS, signal }: CallOptions, start: (settle: Settle<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(closed(this.service))
      if (this.stops.size >= PENDING_MAX) return reject(tooMany(this.service))
      const settle = new Settle<T>(resolve, reject)
      const stop = (error: EngineError) => settle.reject(error)
      this.stops.add(stop)
      const timer = setTimeout(() => settle.reject(this.late(settle.sent, timeoutMs)), timeoutMs)
      const abort = () => settle.reject(new EngineError('CLOSED', `the call of ${this.service} was given up`))
      signal?.addEventListener('abort', abort)
      settle.onEnd(() => {
        this.stops.delete(stop)
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        if (this.stops.size === 0) {
          clearInterval(this.watch)
          this.watch = undefined
        }
      })
      if (signal?.aborted) return abort()
      settle.attempt(() => start(settle))
    })
  }

  /** Tries `step` when a server is there, until it gives back true. */
  private whenReady<T>(settle: Settle<T>, step: () => boolean): void {
    if (this.isReady() && step()) return
    const timer = setInterval(() => {
      settle.attempt(() => {
        if (this.isReady() && step()) clearInterval(timer)
      })
    }, LOOK_MS)
    settle.onEnd(() => clearInterval(timer))
  }

  private late(sent: boolean, timeoutMs: number): EngineError {
    return sent
      ? new EngineError('TIMEOUT', `service ${this.service} did not answer within ${timeoutMs} ms`)
      : new EngineError('TRANSPORT', `nobody offered service ${this.service} within ${timeoutMs} ms; start its server`)
  }

  private gone(): EngineError {
    return new EngineError('TRANSPORT', `the server of ${this.service} left before it answered`)
  }

  /** Calls fail with their server, not only at the end of their time. */
  private look(): void {
    if (this.calls.size === 0) return
    try {
      if (this.isReady()) return
    } catch {
      return
    }
    this.drain()
    for (const { reject } of [...this.calls.values()]) reject(this.gone())
  }

  private drain(): void {
    if (this.draining || this.closed) return
    const { replies, more } = this.caller.take(TURN)
    for (const reply of replies) {
      const pending = this.calls.get(reply.call)
      if (!pending) continue
      try {
        if ('error' in reply) throw reply.error
        pending.resolve(this.codecs.response.decode(reply.cdr))
      } catch (error) {
        pending.reject(toEngineError(error))
      }
    }
    if (!more) return
    // Others get their turn before the rest.
    this.draining = true
    setImmediate(() => {
      this.draining = false
      this.drain()
    })
  }
}

/** The two ends of a promise, and what is to be freed with it. Only the first end counts. */
class Settle<T> implements Pending {
  /** The request has left. */
  sent = false
  private readonly ends: (() => void)[] = []
  private ended = false

  constructor(
    private readonly onResolve: (value: T) => void,
    private readonly onReject: (error: EngineError) => void,
  ) {}

  readonly resolve = (value?: unknown): void => this.end(() => this.onResolve(value as T))
  readonly reject = (error: EngineError): void => this.end(() => this.onReject(error))

  onEnd(free: () => void): void {
    if (this.ended) free()
    else this.ends.push(free)
  }

  attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.reject(toEngineError(error))
    }
  }

  private end(tell: () => void): void {
    if (this.ended) return
    this.ended = true
    for (const free of this.ends.splice(0)) free()
    tell()
  }
}

function closed(service: string): EngineError {
  return new EngineError('CLOSED', `the client of ${service} is closed; open it again`)
}

function tooMany(service: string): EngineError {
  return new EngineError('BUFFER_FULL', `${PENDING_MAX} calls of ${service} wait for an answer; call slower`)
}
