/**
 * Delivers to Kafka: measurements and other messages to `{topic}.display`, keyed by their source; alerts and their ends
 * to `{topic}.alerts`, keyed by the type of the alert. What has one key keeps its order.
 *
 * Deliveries that come together go in one request, one request after the other. The brokers have them when they have
 * confirmed them.
 *
 * A producer whose request failed is thrown away with its connections: nobody knows what of it was written, so that
 * its numbers, by which brokers recognise what comes twice, might stand for something else by now.
 */
import { once } from 'node:events'
import * as zlib from 'node:zlib'
import type * as Library from '@platformatic/kafka'
import { EngineError, quote } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { type Delivery, DriverError, type Fault, type Transport } from './driver'
import { checkTls, networkError, type TlsOptions } from './network'
import { json } from './payload'

export const kafkaAcks = ['all', 'leader'] as const
export const kafkaCompressions = ['none', 'gzip', 'zstd'] as const

export interface KafkaBroker {
  host: string
  port: number
}

export type KafkaSasl =
  | { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string }
  | { mechanism: 'OAUTHBEARER'; token: string | (() => string | Promise<string>) }

export interface KafkaConfig {
  /** Any that are known. Default 127.0.0.1:9092. */
  brokers?: readonly KafkaBroker[]
  /** What the topics begin with. Default `millrace`. */
  topic?: string
  /** Default `millrace`. */
  clientId?: string
  /** Who has to confirm: all replicas in sync, or the leader. Default `all`. */
  acks?: (typeof kafkaAcks)[number]
  /** Brokers recognise what one try sends twice. Needs `acks` all. Default: with `acks` all. */
  idempotent?: boolean
  /** Default `none`. `zstd` needs Node.js 22.15 or later. */
  compression?: (typeof kafkaCompressions)[number]
  sasl?: KafkaSasl
  tls?: TlsOptions
  /** Of each record, beside `type`. */
  headers?: Readonly<Record<string, string>>
  /** So many go in one request. Default 500. */
  batch?: number
  /** For one try, the connection included: that of the delivery. Default 10 s. */
  timeoutMs?: number
}

type Producer = Library.Producer<Buffer, Buffer, Buffer, Buffer>
type Entry = Library.MessageToProduce<Buffer, Buffer, Buffer, Buffer>

interface Call {
  record: Entry
  bytes: number
  signal: AbortSignal
  resolve(): void
  reject(error: EngineError): void
}

/** Brokers take about 1 MB a batch as they come. */
const BATCH_BYTES = 1 << 18
/** Of what a record has beside key and value. */
const RECORD_BYTES = 100
/** A connection that broke is made anew at once, by the same producer: then what was sent twice is recognised. */
const QUICK = { retries: 3, retryDelay: 200 }
const CLOSE_MS = 500
const ACKS = { all: -1, leader: 1 } as const

export class KafkaTransport implements Transport {
  private readonly library: typeof Library
  private readonly topic: string
  private readonly headers: [name: Buffer, value: Buffer][]
  private readonly idempotent: boolean
  private client: Client | undefined
  private waiting: Call[] = []
  private working = false

  constructor(private readonly config: KafkaConfig) {
    this.library = optional<typeof Library>('@platformatic/kafka', 'nodes that act through Kafka')
    const { topic = 'millrace', acks = 'all', idempotent = acks === 'all', headers = {}, tls } = config
    check(config)
    if (tls) checkTls(tls)
    this.topic = topic
    this.idempotent = idempotent
    this.headers = Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])
  }

  /** Asks for the brokers; topics may come later. */
  async open(signal: AbortSignal): Promise<void> {
    const client = this.connect(QUICK)
    try {
      await client.until(client.producer.metadata({ topics: [] }), [signal])
    } catch (error) {
      client.end()
      throw this.explain(error)
    }
    this.client?.end()
    this.client = client
  }

  deliver(delivery: Delivery, _attempt: number, signal: AbortSignal): Promise<unknown> {
    const record = this.recordOf(delivery)
    const bytes = RECORD_BYTES + (record.value?.length ?? 0) + (record.key?.length ?? 0)
    return new Promise((resolve, reject) => {
      const done = () => resolve({ topic: record.topic, key: record.key ? String(record.key) : null })
      this.waiting.push({ record, bytes, signal, resolve: done, reject })
      if (!this.working) void this.work()
    })
  }

  /** Looks for both topics. */
  async test(signal: AbortSignal): Promise<string> {
    const client = this.connect({ retries: 0 })
    const topics = [`${this.topic}.display`, `${this.topic}.alerts`]
    try {
      const known = await client.until(client.producer.metadata({ topics: [...topics] }), [signal])
      const found = topics.map((name) => `${name}: ${known.topics.get(name)?.partitionsCount ?? 0}`)
      return `brokers: ${known.brokers.size}, partitions of ${found.join(', ')}`
    } catch (error) {
      throw this.explain(error)
    } finally {
      client.end()
    }
  }

  async close(): Promise<void> {
    this.client?.end()
    this.client = undefined
  }

  private recordOf({ kind, data, source }: Delivery): Entry {
    const isAlert = kind === 'alert' || kind === 'clear'
    const type = (data as { alertType?: unknown } | null)?.alertType
    const key = isAlert ? String(type ?? '') : source
    return {
      topic: `${this.topic}.${isAlert ? 'alerts' : 'display'}`,
      value: Buffer.isBuffer(data) ? data : Buffer.from(json(kind, data)),
      headers: new Map([...this.headers, [Buffer.from('type'), Buffer.from(kind)]]),
      ...(key && { key: Buffer.from(key) }),
    }
  }

  /** One request after the other, so that what has one key keeps its order. */
  private async work(): Promise<void> {
    this.working = true
    // What comes in one turn of the event loop goes together.
    await new Promise(setImmediate)
    while (this.waiting.length > 0) await this.send(this.take())
    this.working = false
  }

  /** Of one topic: what is wrong with one is nothing to the other. */
  private take(): Call[] {
    const [first] = this.waiting as [Call]
    const calls: Call[] = []
    let bytes = 0
    const left: Call[] = []
    for (const call of this.waiting) {
      bytes += call.bytes
      const fits = calls.length === 0 || (calls.length < (this.config.batch ?? 500) && bytes <= BATCH_BYTES)
      if (call.record.topic === first.record.topic && fits) calls.push(call)
      else left.push(call)
    }
    this.waiting = left
    return calls
  }

  private async send(all: Call[]): Promise<void> {
    // Nobody waits for these any more.
    const calls = all.filter(({ signal }) => !signal.aborted)
    if (calls.length === 0) return
    const { acks = 'all', compression = 'none' } = this.config
    this.client ??= this.connect(QUICK)
    const client = this.client
    try {
      const messages = calls.map(({ record }) => ({ ...record }))
      const sent = client.producer.send({ messages, acks: ACKS[acks], idempotent: this.idempotent, compression })
      await client.until(
        sent,
        calls.map(({ signal }) => signal),
      )
      for (const call of calls) call.resolve()
    } catch (cause) {
      if (this.client === client) this.client = undefined
      client.end()
      const error = this.explain(cause)
      if (error.retryable || calls.length === 1) for (const call of calls) call.reject(error)
      else {
        // One of them may spoil it for all.
        const middle = calls.length >> 1
        await this.send(calls.slice(0, middle))
        await this.send(calls.slice(middle))
      }
    }
  }

  private connect(retries: { retries: number; retryDelay?: number }): Client {
    const { brokers = [{ host: '127.0.0.1', port: 9092 }], clientId = 'millrace', sasl, tls } = this.config
    const { timeoutMs = 10_000 } = this.config
    return new Client(this.library, {
      clientId,
      bootstrapBrokers: [...brokers],
      timeout: timeoutMs,
      connectTimeout: timeoutMs,
      ...retries,
      ...(sasl && { sasl }),
      ...(tls && { tls }),
    })
  }

  private explain(error: unknown): EngineError {
    if (error instanceof EngineError) return error
    const { brokers = [{ host: '127.0.0.1', port: 9092 }] } = this.config
    const where = brokers.map(({ host, port }) => `${host}:${port}`).join(', ')
    const roots = rootsOf(error)
    const make = (code: 'TRANSPORT' | 'REFUSED' | 'TOO_LARGE', fault: Fault, text: string) =>
      new DriverError(code, `${quote(where)}: ${text}`, { fault, cause: error })

    for (const { apiId, message } of roots) {
      const known = apiId && REPLIES[apiId]
      if (known) return make(known[0], known[1], `${message} ${known[2].replaceAll('{topic}', this.topic)} (${apiId})`)
    }
    const auth = roots.find(({ code }) => code === 'PLT_KFK_AUTHENTICATION')
    if (auth) return make('REFUSED', 'auth', `${auth.message} See the mechanism, the user and the password`)
    const reply = roots.find(({ apiId }) => apiId)
    if (reply) return make(reply.canRetry ? 'TRANSPORT' : 'REFUSED', 'answer', `${reply.message} (${reply.apiId})`)
    const net = roots.find(({ code }) => code && !code.startsWith('PLT_'))
    if (net) return networkError(net, where)
    const first = roots[0]?.message ?? String(error)
    if (/timed out/.test(first)) return make('TRANSPORT', 'timeout', first)
    if (/closed/i.test(first)) {
      return make('TRANSPORT', 'reset', `${first}; where it wants TLS or a login, it says no more than that`)
    }
    return make('TRANSPORT', 'other', first)
  }
}

/**
 * A producer, with a hold on its connections. What the library throws outside of its calls would end Node-RED: an
 * error of a connection that nobody listens to, and every error that is not of its own kind.
 */
class Client {
  readonly producer: Producer
  private readonly connections = new Set<Library.Connection>()
  private pool: Library.ConnectionPool | undefined

  constructor(
    private readonly library: typeof Library,
    options: Library.ProducerOptions<Buffer, Buffer, Buffer, Buffer>,
  ) {
    const watch = (made: unknown) => {
      const { type, instance } = made as { type: string; instance: Library.ConnectionPool }
      if (type !== 'connection-pool') return
      this.pool = instance
      instance.on('connecting', ({ connection }: { connection: Library.Connection }) => {
        this.connections.add(connection)
        connection.on('error', () => {})
        connection.once('close', () => this.connections.delete(connection))
      })
    }
    library.instancesChannel.subscribe(watch)
    try {
      this.producer = new library.Producer(options)
    } finally {
      library.instancesChannel.unsubscribe(watch)
    }
  }

  /** What comes of `work`; when nobody waits for it any more, it fails. */
  async until<T>(work: Promise<T>, signals: AbortSignal[]): Promise<T> {
    const settled = new AbortController()
    const given = async () => {
      for (const signal of signals) if (!signal.aborted) await once(signal, 'abort', { signal: settled.signal })
      throw signals[0]?.reason
    }
    try {
      return await Promise.race([work, given()])
    } finally {
      settled.abort()
    }
  }

  /** Ends it, also where the other side does not. */
  end(): void {
    const { connections, library, pool } = this
    if (pool) {
      // A closed pool answers calls that are under way with an error that is not of the library's kind.
      const closed = (_broker: Library.Broker, callback?: (error: Error) => void) =>
        callback?.(new library.NetworkError('the connections are closed'))
      Object.assign(pool, { get: closed })
    }
    void Promise.resolve(this.producer.close()).catch(() => {})
    setTimeout(() => {
      for (const { socket } of connections) socket?.destroy()
    }, CLOSE_MS).unref()
  }
}

interface Root {
  message: string
  code?: string
  /** What a broker answered. */
  apiId?: string
  canRetry?: boolean
}

/** The library's errors have those that matter within them, often the same one from several tries. */
function rootsOf(error: unknown): Root[] {
  const { errors = [], cause } = error as { errors?: unknown[]; cause?: unknown }
  const within = [...errors, ...(cause ? [cause] : [])].flatMap(rootsOf)
  const isAuth = (error as Root).code === 'PLT_KFK_AUTHENTICATION'
  // The latest try first.
  return within.length > 0 && !isAuth ? within.reverse() : [error as Root, ...within]
}

type Reply = [code: 'TRANSPORT' | 'REFUSED' | 'TOO_LARGE', fault: Fault, hint: string]

const REPLIES: { [apiId: string]: Reply } = {
  UNKNOWN_TOPIC_OR_PARTITION: ['TRANSPORT', 'answer', 'Create the topics {topic}.display and {topic}.alerts'],
  MESSAGE_TOO_LARGE: ['TOO_LARGE', 'answer', 'Send less, or raise max.message.bytes of the topic'],
  RECORD_LIST_TOO_LARGE: ['TOO_LARGE', 'answer', 'Send less, or raise segment.bytes of the topic'],
  TOPIC_AUTHORIZATION_FAILED: ['REFUSED', 'permission', 'See what the ACLs allow the user'],
  CLUSTER_AUTHORIZATION_FAILED: ['REFUSED', 'permission', 'See what the ACLs allow the user'],
  SASL_AUTHENTICATION_FAILED: ['REFUSED', 'auth', 'See the user and the password'],
  UNSUPPORTED_SASL_MECHANISM: ['REFUSED', 'auth', 'Choose a mechanism that the listener has'],
  ILLEGAL_SASL_STATE: ['REFUSED', 'auth', 'This listener has no login: choose none'],
  // With a new producer these begin anew.
  OUT_OF_ORDER_SEQUENCE_NUMBER: ['TRANSPORT', 'answer', 'It is sent anew'],
  UNKNOWN_PRODUCER_ID: ['TRANSPORT', 'answer', 'It is sent anew'],
  INVALID_PRODUCER_EPOCH: ['TRANSPORT', 'answer', 'It is sent anew'],
}

function check({ topic = 'millrace', acks = 'all', idempotent, compression = 'none', batch = 500 }: KafkaConfig): void {
  const wrong = (text: string) => new EngineError('INVALID_OPTION', text)
  if (!/^[A-Za-z0-9._-]{1,240}$/.test(topic)) {
    throw wrong(`topic is ${quote(topic)}; it may have letters, digits, dots, underscores and hyphens`)
  }
  if (!kafkaAcks.includes(acks)) throw wrong(`acks is ${quote(acks)}; it must be one of: ${kafkaAcks.join(', ')}`)
  if (idempotent && acks !== 'all') throw wrong(`acks is ${quote(acks)}; with idempotent it must be all`)
  if (!kafkaCompressions.includes(compression)) {
    throw wrong(`compression is ${quote(compression)}; it must be one of: ${kafkaCompressions.join(', ')}`)
  }
  if (compression === 'zstd' && !('zstdCompressSync' in zlib)) {
    throw wrong(`compression is 'zstd', which Node.js ${process.versions.node} does not have; use gzip, or a newer one`)
  }
  if (!(batch >= 1)) throw wrong(`batch is ${quote(batch)}; it must be a number from 1`)
}
