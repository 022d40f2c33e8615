/** A real redis-server, on loopback, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../shared/port'

const program =
  process.env.MILLRACE_REDIS_SERVER ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'redis-server'))
    .find((file) => existsSync(file))

/** Why the tests with a server do not run; undefined where they do. */
export const missing = program ? undefined : 'no redis-server: install it, or name it by MILLRACE_REDIS_SERVER'

export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'millrace-redis-'))
  private process: ChildProcess | undefined
  private clients: Redis[] = []

  private constructor(
    readonly port: number,
    private readonly lines: readonly string[],
    private readonly args: readonly string[],
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  static async start(
    lines: readonly string[] = [],
    args: readonly string[] = [],
    port = 0,
    env: NodeJS.ProcessEnv = {},
  ): Promise<RedisServer> {
    const server = new RedisServer(port || (await freePort()), lines, args, env)
    await server.run()
    return server
  }

  /** Starts it, again too. */
  async run(): Promise<void> {
    const file = join(this.folder, 'redis.conf')
    const own = ['bind 127.0.0.1', `port ${this.port}`, `dir ${this.folder}`, 'save ""', 'appendonly no']
    writeFileSync(file, [...own, ...this.lines].join('\n'))
    const env = { ...process.env, ...this.env }
    const child = spawn(program as string, [file, ...this.args], { stdio: ['ignore', 'pipe', 'pipe'], env })
    this.process = child
    // A test that fails may not come to its end.
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    let log = ''
    const said = new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (text) => {
        log += text
        if (/eady to accept connections|Sentinel ID|\+monitor/.test(log)) resolve()
      })
      // Later on nobody waits for this any more.
      child.once('exit', () => reject(new Error(`redis-server ended:\n${log}`)))
    })
    await said
  }

  /** A client to look with. */
  client(options: object = {}): Redis {
    const client = new Redis({ host: '127.0.0.1', port: this.port, protocol: 2, ...options })
    client.on('error', () => {})
    this.clients.push(client)
    return client
  }

  /** Ends it by its process id; its data goes. */
  async stop(): Promise<void> {
    const child = this.process
    this.process = undefined
    if (!child || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async remove(): Promise<void> {
    for (const client of this.clients.splice(0)) client.disconnect()
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
