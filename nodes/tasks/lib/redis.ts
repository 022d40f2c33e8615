/** The connection to Redis: the script, and what Redis tells by itself. */
import type * as IoRedis from 'ioredis'
import type { Redis, RedisOptions } from 'ioredis'
import { EngineError, toEngineError } from '../../shared/errors'
import { native } from '../../shared/native'
import { optional } from '../../shared/optional'
import { safeConnector } from '../../shared/redis'
import type { Payloads } from './payloads'
import { source } from './redis-script'
import { type Settings, serverError } from './servers'

/** What a step left to do: see redis-script.ts. */
export interface Answer {
  value: unknown
  owed: string[]
  full: string[]
  thrown: number
}

/** Of a step. Many are a list: a call has room for some ten thousand, and a workflow may have more parts. */
export type Arg = string | number | readonly (string | number)[]

const CONNECT_MS = 5000
/** So long a question of a person waits for Redis. */
const PATIENCE_MS = 8000
const RETRY_MS = 2000

type Scripted = Redis & {
  tasks(prefix: string, ...args: Arg[]): Promise<[unknown, string[], string[], number]>
}

export class State implements Payloads {
  private readonly commands: Scripted
  private readonly ear: Redis
  private readonly keys: string
  private closed = false

  private constructor(
    private readonly settings: Settings,
    private readonly tell: (channel: string, text: string) => void,
    private readonly back: () => void,
    private readonly broken: (problem: EngineError) => void,
  ) {
    const library = optional<typeof IoRedis>('ioredis', 'distributed task queues')
    const options = { ...optionsOf(), Connector: safeConnector(library) }
    this.keys = `{${settings.prefix}}:`
    this.commands = new library.Redis({ ...options, ...addressOf(settings) }) as Scripted
    this.ear = new library.Redis({ ...options, ...addressOf(settings), autoResubscribe: true })
    const states = JSON.parse(native().taskStates())
    this.commands.defineCommand('tasks', { numberOfKeys: 1, lua: source(states) })
    this.ear.on('message', (channel: string, text: string) => this.tell(channel.slice(this.keys.length), text))
  }

  static async open(
    settings: Settings,
    ears: { tell(channel: string, text: string): void; back(): void; broken(problem: EngineError): void },
  ): Promise<State> {
    const state = new State(settings, ears.tell, ears.back, ears.broken)
    try {
      await Promise.all([state.connect(state.commands), state.connect(state.ear)])
      return state
    } catch (error) {
      state.close()
      throw serverError(error, settings.redisUrl)
    }
  }

  get connected(): boolean {
    return this.commands.status === 'ready'
  }

  /** One step of the script. What is on its way when the connection is lost is sent again: all steps bear it. */
  async step(op: string, ...args: Arg[]): Promise<Answer> {
    if (this.closed) throw closedError()
    const { resultTtlMs, idempotencyWindowMs } = this.settings
    try {
      const [value, owed, full, thrown] = await this.commands.tasks(
        this.keys,
        op,
        resultTtlMs,
        idempotencyWindowMs,
        ...args,
      )
      return { value, owed, full, thrown }
    } catch (error) {
      if (this.closed) throw closedError()
      throw serverError(error, this.settings.redisUrl)
    }
  }

  /** The same for who does not want to wait until Redis is back. */
  async ask(op: string, ...args: Arg[]): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const error = Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })
      timer = setTimeout(() => reject(serverError(error, this.settings.redisUrl)), PATIENCE_MS)
    })
    const step = this.step(op, ...args)
    step.catch(() => {})
    try {
      return await Promise.race([step, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async put(key: string, data: Buffer, keepMs: number): Promise<void> {
    await this.plain(() => this.commands.set(this.payload(key), data, 'PX', Math.ceil(keepMs)))
  }

  async get(key: string): Promise<Buffer | undefined> {
    return (await this.plain(() => this.commands.getBuffer(this.payload(key)))) ?? undefined
  }

  async drop(keys: readonly string[]): Promise<void> {
    await this.plain(() => this.commands.del(...keys.map((key) => this.payload(key))))
  }

  private payload(key: string): string {
    return `${this.keys}payload:${key}`
  }

  private async plain<T>(command: () => Promise<T>): Promise<T> {
    if (this.closed) throw closedError()
    try {
      return await command()
    } catch (error) {
      throw this.closed ? closedError() : serverError(error, this.settings.redisUrl)
    }
  }

  async listen(...channels: string[]): Promise<void> {
    try {
      await this.ear.subscribe(...channels.map((channel) => this.keys + channel))
    } catch (error) {
      throw this.closed ? closedError() : toEngineError(serverError(error, this.settings.redisUrl))
    }
  }

  unlisten(channel: string): void {
    if (!this.closed) this.ear.unsubscribe(this.keys + channel).catch(() => {})
  }

  close(): void {
    this.closed = true
    this.commands.disconnect()
    this.ear.disconnect()
  }

  /** The first connection must stand; afterwards ioredis sees to it. */
  private connect(client: Redis): Promise<void> {
    return new Promise((resolve, reject) => {
      let cause: unknown
      let first = true
      const late = () => reject(cause ?? Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }))
      const timer = setTimeout(late, CONNECT_MS)
      client.on('error', (error) => {
        cause = error
        if (first) reject(error)
      })
      client.on('close', () => {
        if (!first && !this.closed) this.broken(serverError(cause ?? { code: 'ECONNRESET' }, this.settings.redisUrl))
      })
      client.on('ready', () => {
        clearTimeout(timer)
        if (!first) this.back()
        first = false
        resolve()
      })
      client.connect().catch((error) => reject(cause ?? error))
      const settle = () => clearTimeout(timer)
      timer.unref()
      client.once('end', settle)
    })
  }
}

function addressOf({ redisUrl, credentials, tls }: Settings) {
  const { protocol, hostname, port, pathname, username, password } = new URL(redisUrl.trim())
  const user = credentials.redisUser || decodeURIComponent(username)
  const secret = credentials.redisPassword || decodeURIComponent(password)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    db: Number(pathname.slice(1) || 0),
    ...(user && { username: user }),
    ...(secret && { password: secret }),
    ...(protocol === 'rediss:' && { tls: tls ?? {} }),
  }
}

function optionsOf() {
  return {
    lazyConnect: true,
    // Older servers know no other.
    protocol: 2,
    disableClientInfo: true,
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_MS,
    keepAlive: 5000,
    retryStrategy: (times) => Math.min(times * 100, RETRY_MS),
  } satisfies RedisOptions
}

export function closedError(): EngineError {
  return new EngineError('CLOSED', 'the task queue is closed; connect again')
}
