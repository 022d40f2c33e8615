/**
 * The connection to NATS: the stream that has all that was accepted until it is done. Requests to JetStream go out
 * with numbers of one inbox, as a promise and a timer of the client for each cost more than the message.
 */
import type * as Nats from 'nats'
import type { JetStreamManager, NatsConnection } from 'nats'
import { EngineError } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { closedError } from './redis'
import { type Settings, serverError } from './servers'

/** A message that was accepted. */
export interface Kept {
  kind: 'task' | 'workflow'
  seq: number
  data: Uint8Array
}

interface Request {
  subject: string
  data: Uint8Array
  sentAt: number
  resolve(seq: number): void
  reject(error: EngineError): void
}

const CONNECT_MS = 5000
const REQUEST_MS = 2000
/** More would overrun the server. */
const IN_FLIGHT = 2000
const DELETES_IN_FLIGHT = 256
/** An answer that did not come by then is asked for again. */
const ANSWER_MS = 5000
const RECONNECT_MS = 500
const PING_MS = 10_000

export class Stream {
  readonly name: string
  connected = true
  private connection!: NatsConnection
  private manager!: JetStreamManager
  private inbox = ''
  private number = 0
  private readonly sent = new Map<number, Request>()
  private readonly waiting: Request[] = []
  private readonly bin: string[] = []
  private readonly deleting = new Map<number, string>()
  private binned: string[] = []
  private watch: NodeJS.Timeout | undefined
  private closed = false

  private constructor(
    private readonly library: typeof Nats,
    private readonly settings: Settings,
    private readonly broken: (problem: EngineError) => void,
    private readonly back: () => void,
    private readonly onBinned: (seqs: string[]) => void,
  ) {
    this.name = settings.prefix
  }

  static async open(
    settings: Settings,
    ears: { broken(problem: EngineError): void; back(): void; binned(seqs: string[]): void },
  ): Promise<Stream> {
    const library = optional<typeof Nats>('nats', 'distributed task queues')
    const stream = new Stream(library, settings, ears.broken, ears.back, ears.binned)
    try {
      stream.connection = await library.connect({ ...connectOptions(library, settings), ...LASTING })
      await stream.prepare()
      return stream
    } catch (error) {
      await stream.connection?.close().catch(() => {})
      throw serverError(error, settings.natsUrl)
    }
  }

  /** The largest message that the server takes. */
  get maxPayloadBytes(): number {
    return this.connection.info?.max_payload ?? Number.POSITIVE_INFINITY
  }

  /** Sends that wait for their acknowledgement. */
  get buffered(): number {
    return this.sent.size + this.waiting.length
  }

  /** Resolves to the message's number, when the stream has it. */
  publish(kind: Kept['kind'], data: Uint8Array): Promise<number> {
    if (this.closed) return Promise.reject(closedError())
    if (!this.connected) {
      if (this.settings.offline === 'fail') return Promise.reject(this.away())
      if (this.buffered >= this.settings.maxBuffered) {
        const text = `NATS is away and ${this.buffered} sends wait, as many as maxBuffered allows; send again later`
        return Promise.reject(new EngineError('BUFFER_FULL', text))
      }
    }
    return new Promise((resolve, reject) => {
      const request = { subject: `${this.name}.${kind}`, data, sentAt: 0, resolve, reject }
      if (this.sent.size < IN_FLIGHT && this.connected) this.put(request)
      else this.waiting.push(request)
    })
  }

  /** Messages that nobody needs any more. */
  discard(seqs: readonly string[]): void {
    for (const seq of seqs) this.bin.push(seq)
    this.empty()
  }

  /** Whether some are on their way out. */
  get discarding(): boolean {
    return this.bin.length > 0 || this.deleting.size > 0
  }

  /** Nobody needs any up to this number. */
  async cut(upto: number): Promise<void> {
    await this.manager.streams.purge(this.name, { seq: upto + 1 })
  }

  /** The numbers of the first and the last message. */
  async range(): Promise<{ first: number; last: number }> {
    if (!this.connected) throw this.away()
    try {
      const { state } = await this.manager.streams.info(this.name)
      return { first: state.first_seq, last: state.last_seq }
    } catch (error) {
      throw serverError(error, this.settings.natsUrl)
    }
  }

  /** All that stands from one number to another, in its order. */
  async *read(from: number, to: number): AsyncGenerator<Kept> {
    const consumer = await this.connection.jetstream().consumers.get(this.name, { opt_start_seq: from })
    for (let more = true; more; ) {
      more = false
      for await (const message of await consumer.fetch({ max_messages: 500, expires: 1000 })) {
        if (message.seq > to) return
        const kind = message.subject.endsWith('.workflow') ? 'workflow' : 'task'
        yield { kind, seq: message.seq, data: message.data }
        more = message.info.pending > 0 && message.seq < to
      }
    }
  }

  /** Waits for what is on its way, a while. */
  async settled(ms: number): Promise<void> {
    const end = performance.now() + ms
    const busy = () => this.buffered > 0 || this.discarding
    while (busy() && this.connected && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.watch)
    for (const { reject } of [...this.sent.values(), ...this.waiting.splice(0)]) reject(closedError())
    this.sent.clear()
    await this.connection.close().catch(() => {})
  }

  private async prepare(): Promise<void> {
    this.manager = await this.connection.jetstreamManager({ timeout: REQUEST_MS })
    const subjects = [`${this.name}.task`, `${this.name}.workflow`]
    try {
      await this.manager.streams.info(this.name)
    } catch (error) {
      if ((error as Nats.NatsError).code !== '404') throw error
      const { RetentionPolicy, StorageType, DiscardPolicy } = this.library
      await this.manager.streams.add({
        ...{ name: this.name, subjects, retention: RetentionPolicy.Limits, storage: StorageType.File },
        ...{ discard: DiscardPolicy.New, num_replicas: this.settings.replicas },
      })
    }
    this.inbox = this.library.createInbox()
    this.connection.subscribe(`${this.inbox}.*`, { callback: (_, message) => this.answered(message) })
    this.listen()
    this.watch = setInterval(() => this.repeat(performance.now() - ANSWER_MS), 1000).unref()
  }

  private async listen(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === this.library.Events.Disconnect && this.connected) {
        this.connected = false
        if (this.settings.offline === 'fail') {
          for (const { reject } of [...this.sent.values(), ...this.waiting.splice(0)]) reject(this.away())
          this.sent.clear()
        }
        if (!this.closed) this.broken(this.away())
      }
      if (type === this.library.Events.Reconnect) {
        this.connected = true
        this.repeat(Number.POSITIVE_INFINITY)
        this.next()
        this.back()
      }
    }
  }

  private put(request: Request): void {
    this.number += 1
    this.sent.set(this.number, request)
    this.emit(this.number, request)
  }

  private emit(number: number, request: Request): void {
    request.sentAt = performance.now()
    try {
      this.connection.publish(request.subject, request.data, { reply: `${this.inbox}.${number}` })
    } catch (error) {
      this.sent.delete(number)
      request.reject(this.closed ? closedError() : serverError(error, this.settings.natsUrl))
    }
  }

  /** What was not answered goes out again: the task's id tells that it is the same. */
  private repeat(before: number): void {
    if (!this.connected) return
    for (const [number, request] of this.sent) if (request.sentAt < before) this.emit(number, request)
    if (before === Number.POSITIVE_INFINITY) {
      for (const seq of this.deleting.values()) this.bin.push(seq)
      this.deleting.clear()
      this.empty()
    }
  }

  private next(): void {
    while (this.sent.size < IN_FLIGHT && this.connected) {
      const request = this.waiting.shift()
      if (!request) return
      this.put(request)
    }
  }

  private answered(message: Nats.Msg): void {
    const number = Number(message.subject.slice(this.inbox.length + 1))
    const seq = this.deleting.get(number)
    if (seq !== undefined) {
      this.deleting.delete(number)
      this.binned.push(seq)
      this.empty()
      return
    }
    const request = this.sent.get(number)
    // JetStream is not there yet: the next round asks again.
    if (!request || message.data.length === 0) return
    const answer = JSON.parse(Buffer.from(message.data).toString()) as Nats.PubAck & { error?: Nats.ApiError }
    this.sent.delete(number)
    if (answer.error) request.reject(refusal(answer.error, this.settings.natsUrl))
    else request.resolve(answer.seq)
    this.next()
  }

  private empty(): void {
    while (this.deleting.size < DELETES_IN_FLIGHT && this.connected && !this.closed) {
      const seq = this.bin.shift()
      if (seq === undefined) break
      this.number += 1
      this.deleting.set(this.number, seq)
      const subject = `$JS.API.STREAM.MSG.DELETE.${this.name}`
      this.connection.publish(subject, `{"seq":${seq},"no_erase":true}`, { reply: `${this.inbox}.${this.number}` })
    }
    if (this.binned.length >= DELETES_IN_FLIGHT || (this.binned.length > 0 && this.deleting.size === 0)) {
      this.onBinned(this.binned.splice(0))
    }
  }

  private away(): EngineError {
    return serverError({ code: 'ECONNRESET' }, this.settings.natsUrl)
  }
}

const LASTING = {
  reconnect: true,
  maxReconnectAttempts: -1,
  reconnectTimeWait: RECONNECT_MS,
  reconnectJitter: RECONNECT_MS / 5,
  pingInterval: PING_MS,
  maxPingOut: 2,
}

export function connectOptions(library: typeof Nats, { natsUrl, credentials, tls }: Settings): Nats.ConnectionOptions {
  const urls = natsUrl.split(',').map((url) => new URL(url.trim()))
  const { natsUser, natsPassword, natsToken, natsCreds } = credentials
  const user = natsUser || decodeURIComponent(urls[0]?.username ?? '')
  const pass = natsPassword || decodeURIComponent(urls[0]?.password ?? '')
  return {
    servers: urls.map(({ host }) => host),
    name: 'millrace',
    timeout: CONNECT_MS,
    ...(user && { user, pass }),
    ...(natsToken && { token: natsToken }),
    ...(natsCreds && { authenticator: library.credsAuthenticator(new TextEncoder().encode(natsCreds)) }),
    ...(urls[0]?.protocol === 'tls:' && { tls: { ...tls } as Nats.TlsOptions }),
  }
}

function refusal({ code, description }: Nats.ApiError, url: string): EngineError {
  if (/maximum (bytes|messages)|insufficient|resources/.test(description)) {
    return new EngineError(
      'BUFFER_FULL',
      `the stream has no room: ${description}; let workers finish some, or give it more`,
    )
  }
  return serverError(new Error(`${description} (${code})`), url)
}
