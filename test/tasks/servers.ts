/** A queue on a NATS and a Redis of the test, under a prefix of its own. */
import { Redis } from 'ioredis'
import { tasks } from '../../nodes'
import { missing as noRedis, RedisServer } from '../action/redis-server'
import type { Common, Place } from './folder'
import { NatsServer, missing as noNats } from './nats-server'

/** Why the tests with servers do not run; undefined where they do. */
export const missing = noNats ?? noRedis

let number = 0

export class Servers {
  private constructor(
    readonly nats: NatsServer,
    readonly redis: RedisServer,
  ) {}

  /** `lines` are those of Redis's configuration, `env` is its environment. */
  static async start(lines: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Servers> {
    return new Servers(await NatsServer.start(), await RedisServer.start(lines, [], 0, env))
  }

  place(options: Partial<tasks.DistributedOptions> = {}): Remote {
    number += 1
    const redisUrl = `redis://127.0.0.1:${this.redis.port}`
    return new Remote({ natsUrl: this.nats.url, redisUrl, prefix: `test${number}`, ...options })
  }

  async remove(): Promise<void> {
    await Promise.all([this.nats.remove(), this.redis.remove()])
  }
}

export class Remote implements Place {
  private readonly apps: tasks.App[] = []

  constructor(readonly options: tasks.DistributedOptions) {}

  async connect(options: Common & Partial<tasks.DistributedOptions> = {}): Promise<tasks.App> {
    const app = await tasks.connect({ ...this.options, ...options })
    this.apps.push(app)
    return app
  }

  keptMs(key: string): Promise<number> {
    return this.ask((redis) => redis.pttl(this.key(key)))
  }

  async forget(key: string): Promise<void> {
    await this.ask((redis) => redis.pexpire(this.key(key), 0))
  }

  private key(key: string): string {
    return `{${this.options.prefix}}:payload:${key}`
  }

  private async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.options.redisUrl)
    return question(redis).finally(() => redis.disconnect())
  }

  async remove(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.close({ drainMs: 0 })))
  }
}
