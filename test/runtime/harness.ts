/**
 * A real Node-RED as a process of its own, with the packed package installed in its user directory. Which Node-RED
 * and which Node.js: MILLRACE_NODE_RED (a folder) and MILLRACE_NODE (a program).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { freePort } from '../shared/port'

export const root = join(__dirname, '../..')
export const nodeRed = process.env.MILLRACE_NODE_RED ?? join(root, 'node_modules/node-red')
export const nodeProgram = process.env.MILLRACE_NODE ?? process.execPath
export const moduleName = '@millrace/node-red'

export type Json = Record<string, unknown>

/** A message that one of our nodes sent. */
export interface Sent {
  node: string
  port: number
  payload: unknown
  sync: unknown
}

/** What the probe says. */
interface Said {
  sent?: Sent
  failed?: Runtime['failed'][number]
  done?: Runtime['done'][number]
  status?: Runtime['statuses'][number]
  id?: number
  answer?: unknown
}

interface Setup {
  /** Without: the package as it arrives on a platform that has no binary. */
  binary?: boolean
  /** A user directory that has the package already. */
  installed?: string
  /** Without: nobody hears what its nodes do, and it runs as fast as any other. */
  probe?: boolean
  /** JavaScript: more properties of the settings. */
  settings?: string
  flows?: Json[]
}

let template: string | undefined

/** The package as npm packs it, unpacked once per run, with the binary where its platform package would put it. */
export function packed(): string {
  if (template) return template
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pack-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  execFileSync(npm, ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root, stdio: 'ignore' })
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'))
  execFileSync('tar', ['-xzf', tarball as string], { cwd: folder })
  template = join(folder, 'package')
  return template
}

export function binaries(): string[] {
  return readdirSync(join(root, 'native')).filter((file) => file.endsWith('.node'))
}

/** Puts the packed package into `userDir`; returns its folder. */
export function install(userDir: string, binary = true): string {
  const folder = join(userDir, 'node_modules', moduleName)
  cpSync(packed(), folder, { recursive: true })
  // The palette writes it down there; function nodes may use what it names.
  writeFileSync(join(userDir, 'package.json'), JSON.stringify({ private: true, dependencies: { [moduleName]: '*' } }))
  linkOptional(userDir)
  if (binary) for (const file of binaries()) cpSync(join(root, 'native', file), join(folder, 'native', file))
  return folder
}

/** What npm installs beside the package, where it can. */
export function linkOptional(userDir: string): void {
  const { optionalDependencies = {} } = readJson(join(root, 'package.json')) as { optionalDependencies?: object }
  for (const name of Object.keys(optionalDependencies)) {
    const place = join(userDir, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    if (existsSync(join(root, 'node_modules', name))) symlinkSync(join(root, 'node_modules', name), place, 'junction')
  }
}

export class Runtime {
  readonly sent: Sent[] = []
  /** Codes of failed messages. */
  readonly failed: { node: string; code: string }[] = []
  /** Messages with a number that nodes were done with. */
  readonly done: { node: string; n: number }[] = []
  readonly statuses: { node: string; fill: string; shape: string; text: string }[] = []
  log = ''
  base = ''
  process!: ChildProcess
  private port = 0
  private questions = 0
  private readonly events = new EventEmitter().setMaxListeners(0)

  private constructor(readonly userDir: string) {}

  static async boot({ binary = true, installed, probe = true, settings = '', flows = [] }: Setup = {}) {
    const runtime = new Runtime(installed ?? mkdtempSync(join(tmpdir(), 'millrace-runtime-')))
    if (!installed) install(runtime.userDir, binary)
    writeFileSync(join(runtime.userDir, 'flows.json'), JSON.stringify(flows))
    runtime.port = await freePort()
    runtime.base = `http://127.0.0.1:${runtime.port}`
    const hears = `require(${JSON.stringify(join(__dirname, 'probe.cjs'))})(${JSON.stringify(nodeRed)})`
    const text = `${probe ? hears : ''}
module.exports = {
  uiHost: '127.0.0.1', uiPort: ${runtime.port}, flowFile: 'flows.json', credentialSecret: false,
  telemetry: { enabled: false }, editorTheme: { tours: false, palette: { catalogues: [] } },
  ${settings}
}\n`
    writeFileSync(join(runtime.userDir, 'settings.js'), text)
    await runtime.start()
    return runtime
  }

  /** Starts it, again too; resolves when its flows run. */
  async start(): Promise<void> {
    this.log = ''
    const args = [join(nodeRed, 'red.js'), '-u', this.userDir]
    // What holds for the tests is nothing to the process under test.
    const { NODE_OPTIONS: _, ...inherited } = process.env
    const env = { ...inherited, PORT: String(this.port) }
    this.process = spawn(nodeProgram, args, { env, cwd: this.userDir, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (data) => {
        this.log += data
        this.events.emit('news')
      })
    }
    this.process.on('message', ({ sent, failed, done, status, id, answer }: Said) => {
      if (sent) this.sent.push(sent)
      if (failed) this.failed.push(failed)
      if (done) this.done.push(done)
      if (status) this.statuses.push(status)
      if (id) this.events.emit(`answer ${id}`, answer)
      this.events.emit('news')
    })
    this.process.on('exit', () => this.events.emit('news'))
    // In which order these come is nowhere said.
    const up = [/Started flows/, /Server now running|headless mode/]
    await this.until('its flows run and it can be asked', () => up.every((line) => line.test(this.log)))
  }

  /** Waits until `fits`, looked at whenever the process says something. */
  async until(what: string, fits: () => boolean, withinMs = 45_000): Promise<void> {
    const giveUp = AbortSignal.timeout(withinMs)
    while (!fits()) {
      const ended = this.process.exitCode ?? this.process.signalCode
      if (ended !== null) throw new Error(`waited until ${what}, but Node-RED ended (${ended}):\n${this.log}`)
      await once(this.events, 'news', { signal: giveUp }).catch(() => {
        throw new Error(`waited in vain until ${what}:\n${this.log}`)
      })
    }
  }

  /** Waits for so many more messages from an output. */
  async untilSent(node: string, port: number, count = 1): Promise<Sent[]> {
    const start = this.sent.length
    const found = () => this.sent.slice(start).filter((sent) => sent.node === node && sent.port === port)
    await this.until(`${count} messages leave output ${port + 1} of ${node}`, () => found().length >= count)
    return found()
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.base + path, { headers })
  }

  async json<T = Json>(path: string): Promise<T> {
    const response = await this.get(path, { accept: 'application/json' })
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
    return (await response.json()) as T
  }

  /** Deploys and waits until the flows run anew. */
  async deploy(flows: Json[], kind: 'full' | 'flows' | 'nodes' | 'reload' = 'full'): Promise<void> {
    const starts = () => this.log.split(/Started (?:flows|modified)/).length
    const before = starts()
    const response = await fetch(`${this.base}/flows`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'Node-RED-API-Version': 'v2',
        'Node-RED-Deployment-Type': kind,
      },
      body: JSON.stringify({ flows }),
    })
    if (!response.ok) throw new Error(`deploy: ${response.status} ${await response.text()}`)
    await this.until('the deploy is done', () => starts() > before)
  }

  /** A question to the probe. */
  async ask<T>(
    question: 'timers' | 'resources' | 'rss' | 'cpu' | 'listeners' | 'routes' | 'polluted' | 'memory',
  ): Promise<T> {
    this.questions += 1
    const id = this.questions
    const answered = once(this.events, `answer ${id}`)
    this.process.send({ id, ask: question })
    return (await answered)[0] as T
  }

  /** Warnings and errors in the log, without those that Node-RED has about its own settings. */
  complaints(): string[] {
    const own = /Projects disabled|ncrypted credentials/
    return this.log.split('\n').filter((line) => /\[(warn|error)\]/.test(line) && !own.test(line))
  }

  /** Ends it with a signal and resolves to how it ended. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const { exitCode, signalCode } = this.process
    if (exitCode === null && signalCode === null) {
      const exit = once(this.process, 'exit')
      this.process.kill(signal)
      await exit
    }
    return { code: this.process.exitCode, signal: this.process.signalCode }
  }

  /** Ends it whatever state it is in, and removes what it left. */
  async remove(): Promise<void> {
    await this.end('SIGKILL')
    rmSync(this.userDir, { recursive: true, force: true })
  }
}

export function readJson(file: string): Json {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** A flow that makes groups without end: an inject node, a clock for both topics, a sync node `sync`. */
export function busyFlow(config: Json = {}): Json[] {
  const func = `const timestamp = Date.now()
return [['a', 'b'].map((topic) => ({ topic, timestamp, payload: topic }))]`
  const row = (topic: string) => ({ topic, required: true, minPeriodMs: '' })
  return [
    { id: 'tab', type: 'tab', label: 'busy' },
    { id: 'tick', z: 'tab', type: 'inject', props: [], repeat: '0.01', once: true, onceDelay: '0', wires: [['clock']] },
    { id: 'clock', z: 'tab', type: 'function', func, outputs: 1, wires: [['sync']] },
    { id: 'sync', z: 'tab', type: 'millrace-sync', topics: [row('a'), row('b')], wires: [['end'], ['end']], ...config },
    { id: 'end', z: 'tab', type: 'junction', wires: [[]] },
  ].map((node) => (node.type === 'tab' ? node : { x: 0, y: 0, ...node }))
}

/** Node types and their files, as package.json names them. */
export const nodeTypes = Object.entries(
  (readJson(join(root, 'package.json'))['node-red'] as { nodes: Record<string, string> }).nodes,
)

/** The examples, as paths below examples/ without their ending. */
export const examples = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replaceAll('\\', '/').replace('.json', ''))
  .sort()
