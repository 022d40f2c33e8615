import { EngineError, toEngineError } from '../../shared/errors'
import { engine } from '../../shared/native'
import type { ServiceCodecs } from './client'
import type { DecodeOptions } from './codec'
import type { Answerer, Asked } from './transport'

/** What is known of a request beside its fields. */
export interface RequestInfo {
  /** When it came, ns since the epoch. */
  receivedNs: bigint
}

/** The response, or a promise of it; `undefined` leaves the client without one. */
export type Handler = (request: Record<string, unknown>, info: RequestInfo) => unknown

export interface ServeOptions extends DecodeOptions {
  /** Told of what went wrong with a request, whose client then gets no response. Default: the console is. */
  onError?: (error: EngineError) => void
}

/** A client may have sent its request before we know the way back to it. */
const REACH_MS = 2000
const LOOK_MS = 10
/** So many requests may be in work; more than these get no response. */
const WORK_MAX = 1000
const TURN = 64

/** Offers one service until it is closed. */
export class ServiceServer {
  private readonly answerer: Answerer
  private readonly timers = new Set<NodeJS.Timeout>()
  private inWork = 0
  private unanswered = 0
  private draining = false
  private closed = false

  /** @internal */
  constructor(
    readonly service: string,
    private readonly codecs: ServiceCodecs,
    private readonly handler: Handler,
    open: (onReady: () => void) => Answerer,
    private readonly onError: (error: EngineError) => void = (error) => console.error(error),
  ) {
    this.answerer = engine(() => open(() => this.drain()))
    // What came before `answerer` was known.
    setImmediate(() => this.drain())
  }

  /** How many requests came, and how many of them got no response, as there were too many or something failed. */
  counts(): { received: number; dropped: number } {
    const { received, dropped } = this.answerer.counts()
    return { received, dropped: dropped + this.unanswered }
  }

  /** How many clients are there that this transport cannot answer. */
  deaf(): number {
    return this.closed ? 0 : engine(() => this.answerer.deaf())
  }

  /** A response as it is sent; a handler may give that back, too. */
  encode(response: unknown): Buffer {
    return Buffer.isBuffer(response) ? response : this.codecs.response.encode(response)
  }

  async close(): Promise<void> {
    this.closed = true
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
    await this.answerer.close()
  }

  private drain(): void {
    if (this.draining || this.closed || !this.answerer) return
    const { requests, more } = this.answerer.take(TURN)
    for (const asked of requests) this.answer(asked)
    if (!more) return
    // Others get their turn before the rest.
    this.draining = true
    setImmediate(() => {
      this.draining = false
      this.drain()
    })
  }

  private async answer({ id, cdr, receivedNs, error }: Asked): Promise<void> {
    if (this.inWork >= WORK_MAX) {
      const problem = `${WORK_MAX} requests of ${this.service} are in work; this one gets no response`
      return this.drop(new EngineError('BUFFER_FULL', problem))
    }
    this.inWork += 1
    try {
      if (error) throw error
      const response = await this.handler(this.codecs.request.decode(cdr), { receivedNs })
      if (response === undefined) {
        this.unanswered += 1
        return
      }
      if (!(await this.reply(id, this.encode(response)))) {
        this.drop(new EngineError('TRANSPORT', `a client of ${this.service} left before it was answered`))
      }
    } catch (error) {
      this.drop(toEngineError(error))
    } finally {
      this.inWork -= 1
    }
  }

  private async reply(id: Buffer, cdr: Buffer): Promise<boolean> {
    const end = performance.now() + REACH_MS
    while (!this.closed) {
      if (this.tryReply(id, cdr)) return true
      if (performance.now() > end) return false
      await this.pause()
    }
    // Who closes a service leaves its clients alone, which is no failure.
    return true
  }

  /** False while the client is not there, or has not received what was sent before. */
  private tryReply(id: Buffer, cdr: Buffer): boolean {
    try {
      return engine(() => this.answerer.reply(id, cdr))
    } catch (error) {
      if (toEngineError(error).code === 'BUFFER_FULL') return false
      throw error
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.timers.delete(timer)
        resolve()
      }, LOOK_MS)
      this.timers.add(timer)
    })
  }

  private drop(error: EngineError): void {
    this.unanswered += 1
    // What came after the close is nobody's any more.
    if (!this.closed) this.onError(error)
  }
}
