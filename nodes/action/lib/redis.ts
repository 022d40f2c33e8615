/**
 * Delivers to Redis, in one of three ways:
 *
 * - `pubsub` publishes to `{key}`; alerts and their ends to `{key}:alert`.
 * - `keys` writes `{key}:latest:{source}` and `{key}:display:{source}:{ms}` for a measurement, `{key}:latest_alert` and
 *   `{key}:alert:{source}:{ms}` for an alert. No two share a key: of one millisecond the second has a number behind it.
 *   `{key}:written:{source}` remembers which there are, so that a clear, even after a restart, removes them all.
 * - `stream` appends to `{key}`; alerts and their ends to `{key}:alert`.
 *
 * Every command is about one key, so that all of it works in a cluster, too.
 */
import type * as IoRedis from 'ioredis'
import type { ClusterOptions, RedisOptions } from 'ioredis'
import { EngineError, quote } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { safeConnector, safeSentinelConnector } from '../../shared/redis'
import { type Delivery, DriverError, type Fault, type Transport } from './driver'
import { checkTls, networkError, type TlsOptions } from './network'
import { json } from './payload'

export const redisModes = ['keys', 'pubsub', 'stream'] as const
export const redisTopologies = ['single', 'sentinel', 'cluster'] as const

export interface RedisHost {
  host: string
  port: number
}

export interface RedisConfig {
  /** Default `keys`. */
  mode?: (typeof redisModes)[number]
  /** What channels, keys or streams are called. Default `millrace`. */
  key?: string
  /** Default `single`: the first of `hosts`; the others: any that are known. */
  topology?: (typeof redisTopologies)[number]
  /** Default 127.0.0.1:6379. */
  hosts?: readonly RedisHost[]
  /** Of `sentinel`: what the master is called. */
  master?: string
  db?: number
  /** An ACL user. */
  username?: string
  password?: string
  sentinelUsername?: string
  sentinelPassword?: string
  tls?: TlsOptions
  /** `keys`: display and alert keys expire after this; null: never. Default 3600. */
  expireSeconds?: number | null
  /** `stream`: about so many entries are kept. Default 10,000. */
  maxLength?: number
}

type Client = IoRedis.Redis | IoRedis.Cluster

/** So many keys of one millisecond are tried. */
const SAME_MOMENT_MAX = 1000
/** What was written without an expiry stays in the list of keys. */
const NEVER = Number.MAX_SAFE_INTEGER

export class RedisTransport implements Transport {
  private readonly library: typeof IoRedis
  private readonly key: string
  private client: Client | undefined
  /** Why the connection broke; ioredis tells it apart from the calls that fail for it. */
  private broken: unknown

  constructor(private readonly config: RedisConfig) {
    this.library = optional<typeof IoRedis>('ioredis', 'nodes that act through Redis')
    this.key = config.key ?? 'millrace'
    if (config.tls) checkTls(config.tls)
    if (this.key === '') throw new EngineError('INVALID_OPTION', 'the key is empty; enter what the keys begin with')
    if (config.topology === 'sentinel' && !config.master) {
      throw new EngineError('INVALID_OPTION', 'the name of the master is empty; enter what the sentinels call it')
    }
  }

  async open(signal: AbortSignal): Promise<void> {
    this.client?.disconnect()
    this.client = await this.connect(signal, true)
  }

  async deliver(delivery: Delivery): Promise<unknown> {
    const client = this.client as Client
    try {
      switch (this.config.mode ?? 'keys') {
        case 'pubsub':
          return await this.publish(client, delivery)
        case 'stream':
          return await this.append(client, delivery)
        default:
          return await (delivery.kind === 'clear' ? this.remove(client, delivery) : this.write(client, delivery))
      }
    } catch (error) {
      throw this.explain(error)
    }
  }

  async test(signal: AbortSignal): Promise<string> {
    const client = await this.connect(signal, false)
    try {
      const info = await client.info('server')
      const [, version = '?'] = /redis_version:(\S+)/.exec(info) ?? []
      return `Redis ${version}`
    } catch (error) {
      throw this.explain(error)
    } finally {
      client.disconnect()
    }
  }

  async close(): Promise<void> {
    // Whatever was to be delivered has been answered.
    this.client?.disconnect()
  }

  private connect(signal: AbortSignal, lasts: boolean): Promise<Client> {
    const client = this.make(lasts)
    this.broken = undefined
    return new Promise((resolve, reject) => {
      const give = (error: unknown) => {
        client.disconnect()
        reject(this.explain(error))
      }
      const late = () => give(this.broken ?? Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }))
      signal.addEventListener('abort', late, { once: true })
      // Without a listener an error would end Node-RED.
      client.on('error', (error) => {
        this.broken = rootOf(error)
        // The first connection must stand; ioredis would go on trying.
        if (!lasts || client !== this.client) give(this.broken)
      })
      client.once('ready', () => {
        signal.removeEventListener('abort', late)
        this.broken = undefined
        resolve(client)
      })
      client.connect().catch((error) => give(this.broken ?? error))
    })
  }

  private make(lasts: boolean): Client {
    const { topology = 'single', hosts = [{ host: '127.0.0.1', port: 6379 }], tls, db = 0 } = this.config
    const { username, password, sentinelUsername, sentinelPassword, master } = this.config
    const access = {
      ...(username && { username }),
      ...(password && { password }),
      ...(tls && { tls }),
    }
    const pause = (times: number) => (lasts ? Math.min(times * 200, 5000) : null)
    const calls = {
      lazyConnect: true,
      // What cannot go now fails now: the machine before it has the queue and the retries.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      // Older servers know no other.
      protocol: 2,
      disableClientInfo: true,
      retryStrategy: pause,
    } satisfies RedisOptions
    if (topology === 'cluster') {
      const { retryStrategy: _, lazyConnect: __, ...each } = calls
      const cluster = {
        lazyConnect: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: pause,
      } satisfies ClusterOptions
      const redisOptions = { ...each, ...access, Connector: safeConnector(this.library) }
      return new this.library.Cluster([...hosts], { ...cluster, redisOptions })
    }
    if (topology === 'sentinel') {
      const sentinel = {
        sentinels: [...hosts],
        name: master as string,
        ...(sentinelUsername && { sentinelUsername }),
        ...(sentinelPassword && { sentinelPassword }),
        ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
        sentinelRetryStrategy: pause,
        Connector: safeSentinelConnector(this.library),
      }
      return new this.library.Redis({ ...calls, ...access, ...sentinel, db })
    }
    return new this.library.Redis({ ...calls, ...access, ...hosts[0], db, Connector: safeConnector(this.library) })
  }

  private async publish(client: Client, { kind, data }: Delivery): Promise<unknown> {
    const channel = this.placeOf(kind)
    return { channel, receivers: await client.publish(channel, json(kind, data)) }
  }

  private async append(client: Client, { kind, data, source = '' }: Delivery): Promise<unknown> {
    const stream = this.placeOf(kind)
    const fields = ['type', kind, 'source', source, 'data', json(kind, data)]
    const id = await client.xadd(stream, 'MAXLEN', '~', this.config.maxLength ?? 10_000, '*', ...fields)
    return { stream, id }
  }

  private placeOf(kind: Delivery['kind']): string {
    return kind === 'alert' || kind === 'clear' ? `${this.key}:alert` : this.key
  }

  private async write(client: Client, { kind, data, source = '' }: Delivery): Promise<unknown> {
    const text = json(kind, data)
    const { timestamp } = (data ?? {}) as { timestamp?: unknown }
    const ms = typeof timestamp === 'number' && Number.isFinite(timestamp) ? Math.round(timestamp) : Date.now()
    const isAlert = kind === 'alert'
    const latest = isAlert ? `${this.key}:latest_alert` : `${this.key}:latest:${source}`
    const key = await this.claim(client, `${this.key}:${isAlert ? 'alert' : 'display'}:${source}:${ms}`, source, text)
    await client.set(latest, text)
    return { keys: [latest, key] }
  }

  /** Writes to a key that is free; a key that has the very same text is what an earlier try wrote. */
  private async claim(client: Client, base: string, source: string, text: string): Promise<string> {
    const { expireSeconds = 3600 } = this.config
    const written = this.writtenBy(source)
    const now = Date.now()
    const until = expireSeconds === null ? NEVER : now + expireSeconds * 1000
    for (let turn = 0; turn < SAME_MOMENT_MAX; turn += 1) {
      const key = turn === 0 ? base : `${base}-${turn}`
      // Listed first: what is written and not listed would stay for good.
      await client.zadd(written, until, key)
      const done =
        expireSeconds === null
          ? await client.set(key, text, 'NX')
          : await client.set(key, text, 'PX', Math.max(1, Math.round(expireSeconds * 1000)), 'NX')
      if (done !== 'OK' && (await client.get(key)) !== text) continue
      await client.zremrangebyscore(written, 0, now)
      if (expireSeconds !== null) await client.pexpireat(written, until)
      return key
    }
    throw new DriverError('REFUSED', `${SAME_MOMENT_MAX} keys ${quote(base)} are taken; give each its own timestamp`)
  }

  /** Removes all that was written of a source. */
  private async remove(client: Client, { data, source = '' }: Delivery): Promise<unknown> {
    const written = this.writtenBy(source)
    const keys = [...(await client.zrange(written, 0, '-1')), `${this.key}:latest:${source}`]
    const latest = `${this.key}:latest_alert`
    const alert = parse(await client.get(latest))
    // Another source, or a newer alert, may be the latest by now.
    if (alert?.alertId === (data as { alertId?: unknown })?.alertId) keys.push(latest)
    const counts = await Promise.all(keys.map((key) => client.del(key)))
    await client.del(written)
    return { removed: counts.reduce((sum, count) => sum + count, 0) }
  }

  private writtenBy(source: string): string {
    return `${this.key}:written:${source}`
  }

  private explain(error: unknown): EngineError {
    if (error instanceof EngineError) return error
    const { message = String(error) } = error as { message?: string }
    const where = (this.config.hosts ?? []).map(({ host, port }) => `${host}:${port}`).join(', ') || 'Redis'
    const [, reply = ''] = /^([A-Z]+) /.exec(message) ?? []
    if (Object.hasOwn(REFUSALS, reply)) {
      const [fault, hint] = REFUSALS[reply] as [Fault, string]
      return new DriverError('REFUSED', `${quote(where)}: ${message}; ${hint}`, { fault, cause: error })
    }
    if (LATER.has(reply))
      return new DriverError('TRANSPORT', `${quote(where)}: ${message}`, { fault: 'answer', cause: error })
    if ((error as Error).name === 'ReplyError') {
      return new DriverError('REFUSED', `${quote(where)}: ${message}`, { fault: 'answer', cause: error })
    }
    // A call that fails for want of a connection says no more than that.
    return networkError(this.broken ?? error, where)
  }
}

const REFUSALS: Record<string, [fault: Fault, hint: string]> = {
  WRONGPASS: ['auth', 'see the user and the password'],
  NOAUTH: ['auth', 'enter a password'],
  ERR: ['answer', 'see the settings'],
  NOPERM: ['permission', 'see what its ACL allows the user'],
  WRONGTYPE: ['answer', 'choose a key that nothing else uses'],
}

const LATER = new Set([
  'LOADING',
  'READONLY',
  'MASTERDOWN',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'BUSY',
  'OOM',
  'MISCONF',
  'NOREPLICAS',
])

/** A cluster's and a sentinel's error has the one that matters within it. */
function rootOf(error: unknown): unknown {
  const { lastNodeError } = error as { lastNodeError?: unknown }
  return lastNodeError ?? error
}

function parse(text: string | null): { alertId?: unknown } | null {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return null
  }
}
