/** A Python script that acts: its functions are called in processes that the native engine starts and supervises. */
import { Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import type { PythonEvent, PythonEvents, PythonScript } from '#native'
import { EngineError, toEngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { fromPython, toPython } from './crossing'

/** The functions of a script, by what they are for. */
export type PythonRole = 'initialize' | 'measurement' | 'alert' | 'clear' | 'status' | 'shutdown'

export interface PythonOptions {
  /** The script's file; this or `code`. */
  scriptPath?: string
  /** The script itself. */
  code?: string
  /** Path or name of the interpreter, 3.8 or later. Default: python3, or python. */
  interpreter?: string
  /** A virtual environment: its interpreter is used, and its packages import. */
  venvPath?: string
  /** Folders that are searched for modules before Python's own. */
  pythonPaths?: string[]
  workingDir?: string
  /** Added to the environment. */
  env?: Record<string, string>
  /** The longest that a call may run. Default: 30000. */
  timeoutMs?: number
  /** The longest that loading the script and `initialize` may take. Default: 60000. */
  startTimeoutMs?: number
  /** Swap the script when its file, or a module of its folder, changes. */
  autoReload?: boolean
  /** `worker`: one process that stays. `isolated`: a new one for each call. `pool`: several that stay. */
  mode?: 'worker' | 'isolated' | 'pool'
  /** Processes of a pool. Default: 2. */
  workers?: number
  /** The most memory that a process may have, in MB of 1,048,576 bytes. */
  memoryLimitMb?: number
  /** Names of the script's functions where they are not `initialize`, `on_measurement`, `on_alert`, … */
  functions?: Partial<Record<PythonRole, string>>
  /** What `initialize` is given. */
  config?: unknown
}

/** What a script raised: the `cause` of an error with the code `SCRIPT_FAILED`. */
export interface PythonProblem {
  type: string
  message: string
  traceback: string
  file: string | null
  line: number | null
  /** The text of the line. */
  text: string | null
}

/** What the interpreter and the script are. */
export interface PythonAbout {
  /** The version. */
  python: string
  executable: string
  /** The roles that the script has a function for. */
  functions: PythonRole[]
}

export interface PythonStatus {
  state: 'starting' | 'running' | 'failed' | 'closed'
  about: PythonAbout | null
  /** The process of each worker, while it has one. */
  processes: (number | null)[]
  calls: number
  failures: number
  /** Calls that wait or run. */
  waiting: number
  /** Processes that had to be replaced. */
  restarts: number
  reloads: number
  lastError: EngineError | null
}

/** What is told beside the results. */
export interface PythonListener {
  /** A line that the script printed. */
  printed?(line: string, isError: boolean): void
  /** Something that someone should know: a process that ended, a version that does not load, a slow call. */
  warned?(error: EngineError): void
  /** `status` has changed in a way that shows. */
  changed?(): void
}

interface Waiting {
  target: string
  resolve(value: unknown): void
  reject(error: EngineError): void
}

/** Read at a time. */
const READ_BYTES = 1 << 18
/** So many events are dealt with before others get their turn. */
const TURN = 2000
/** Calls that begin so soon after each other come one by one. */
const SOON_MS = 0.25
/** So long the answer of such a call is looked for without sleeping: to be woken takes longer than most answers. */
const LINGER_MS = 0.1
/** Where it is not there by then, this is left alone for a while: a busy machine does better without. */
const LEAST_REST_MS = 2
const MOST_REST_MS = 500
/** Each answer that is there in time makes the next rest so much shorter. */
const TRUST = 0.97
/** With one core it would keep Python from its work. */
const MAY_LINGER = availableParallelism() > 1
/** A call is slow from this part of its timeout on. */
const SLOW = 0.5
/** Slow calls are told so often at most. */
const SLOW_TELL_MS = 10_000

export class Python {
  private script: PythonScript | undefined
  private readonly waiting = new Map<number, Waiting>()
  private nextId = 1
  private draining = false
  private calledAt = Number.NEGATIVE_INFINITY
  private lingering = false
  private rest = { ms: LEAST_REST_MS, until: Number.NEGATIVE_INFINITY }
  /** To each worker's process: what it answers is read here, which saves the way through a thread. */
  private readonly sockets = new Set<Socket>()
  private state: PythonStatus['state'] = 'starting'
  private about: PythonAbout | null = null
  private lastError: EngineError | null = null
  private calls = 0
  private failures = 0
  private restarts = 0
  private reloads = 0
  private slow = { untold: 0, toldAt: Number.NEGATIVE_INFINITY }
  private readonly timeoutMs: number
  private starting = new Set<(error: EngineError | null) => void>()

  /**
   * Starts the processes. That the script loads, `started` tells; calls can be made before. Where it does not start, it
   * is tried again after 1 s, later every 30 s.
   */
  constructor(
    options: PythonOptions,
    private readonly listener: PythonListener = {},
  ) {
    const binding = native()
    if (!('PythonScript' in binding)) {
      throw new EngineError('UNAVAILABLE', 'Python scripts run on Linux and macOS only; use HTTP or Redis here')
    }
    const { timeoutMs = 30_000 } = options
    this.timeoutMs = timeoutMs
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
    this.script = engine(() => binding.PythonScript.open(JSON.stringify(given), () => this.drain()))
  }

  /** Runs a script, and resolves when it has loaded and `initialize` has returned. */
  static async open(options: PythonOptions, listener: PythonListener = {}): Promise<Python> {
    const python = new Python(options, listener)
    try {
      await python.started()
      return python
    } catch (error) {
      await python.close()
      throw error
    }
  }

  /** Loads a script without `initialize`, tells what it is, and lets it go. Fails as it fails. */
  static async probe(options: PythonOptions): Promise<PythonAbout> {
    const { config: _, ...rest } = options
    const once = { ...rest, mode: 'worker', onlyLoad: true } as PythonOptions
    const python = await Python.open(once)
    const { about } = python.status()
    await python.close()
    return about as PythonAbout
  }

  /** Resolves when the script runs; fails where its latest start failed. */
  started(): Promise<void> {
    if (this.state === 'running') return Promise.resolve()
    if (this.state === 'closed') return Promise.reject(closed())
    if (this.state === 'failed') return Promise.reject(this.lastError)
    return new Promise((resolve, reject) => {
      this.starting.add((error) => (error ? reject(error) : resolve()))
    })
  }

  /** Calls the function for a kind of data; what it returns. Null where the script has none. */
  call(kind: 'measurement' | 'alert' | 'clear', data: unknown, source?: string): Promise<unknown> {
    return this.send(`@${kind}`, data, source)
  }

  /** Calls any function of the script with one argument. Calls of one source are done in their order. */
  callFunction(name: string, data: unknown, source?: string): Promise<unknown> {
    return this.send(name, data, source)
  }

  /** What the script's own `get_status` returns. */
  scriptStatus(): Promise<unknown> {
    return this.send('@status', null)
  }

  status(): PythonStatus {
    const { state, about, calls, failures, restarts, reloads, lastError } = this
    const processes = this.script?.processes().map((id) => id ?? null) ?? []
    return { state, about, processes, calls, failures, waiting: this.waiting.size, restarts, reloads, lastError }
  }

  /** Lets the waiting calls finish and the script shut down, in 5 s at most. */
  async close(): Promise<void> {
    const { script } = this
    this.script = undefined
    if (!script) return
    this.state = 'closed'
    this.settleStart(closed())
    await script.close()
    // What was answered last may not have been heard yet.
    for (let more = true; more; ) more = this.heardAll(script.take(TURN))
    for (const socket of this.sockets) socket.destroy()
    for (const call of this.waiting.values()) call.reject(closed())
    this.waiting.clear()
  }

  private send(target: string, data: unknown, source?: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { script } = this
      if (!script) throw closed()
      const { json, parts } = toPython(target, data)
      const id = this.nextId
      this.nextId += 1
      try {
        // A failure to start has more to tell than the engine knows.
        engine(() => script.call(id, source, json, parts.length > 0 ? parts : undefined))
      } catch (error) {
        const failure = toEngineError(error)
        throw failure.code === 'SCRIPT_FAILED' && this.lastError ? this.lastError : failure
      }
      this.calls += 1
      this.waiting.set(id, { target, resolve, reject })
      this.stayAwake()
    })
  }

  /** While one call follows the other, the event loop goes around instead of sleeping until the answer is there. */
  private stayAwake(): void {
    const now = performance.now()
    const isSoon = now - this.calledAt < SOON_MS
    this.calledAt = now
    if (!isSoon || this.waiting.size > 1 || now < this.rest.until || this.lingering || !MAY_LINGER) return
    this.lingering = true
    this.linger()
  }

  private linger(): void {
    setImmediate(() => {
      const now = performance.now()
      if (this.waiting.size === 1 && now - this.calledAt < LINGER_MS) return this.linger()
      this.lingering = false
      if (this.waiting.size !== 1) return
      const ms = Math.min(MOST_REST_MS, this.rest.ms * 2)
      this.rest = { ms, until: now + ms }
    })
  }

  private drain(): void {
    const { script } = this
    if (this.draining || !script) return
    this.takeOn(script.take(TURN))
  }

  private takeOn(events: PythonEvents): void {
    if (!this.heardAll(events) || this.draining) return
    this.draining = true
    setImmediate(() => {
      this.draining = false
      this.drain()
    })
  }

  /** Deals with some events; true where more wait. */
  private heardAll({ events, more }: PythonEvents): boolean {
    for (const event of events) this.heard(event)
    return more
  }

  private listen(worker: number): void {
    const { script } = this
    const channel = script?.listen(worker)
    if (!script || !channel) return
    const { fd, turn } = channel
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const hear = (bytes: Buffer) => {
      this.takeOn(script.hear(worker, turn, bytes, TURN))
      return true
    }
    const socket = new Socket({
      fd,
      writable: false,
      onread: { buffer, callback: (size: number) => hear(buffer.subarray(0, size)) },
    } as never)
    this.sockets.add(socket)
    // Its end says enough.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.sockets.delete(socket)
      hear(buffer.subarray(0, 0))
    })
  }

  private heard(event: PythonEvent): void {
    switch (event.kind) {
      case 'value':
      case 'raised':
      case 'failed':
        return this.answered(event)
      case 'started':
        this.about = objectOf<PythonAbout>(event.text)
        this.listen(event.id)
        return this.enter('running', null)
      case 'startRaised':
      case 'startFailed': {
        const error = errorOf(event, 'the script does not start')
        // Who waits for the start hears it there.
        const isNew = error.message !== this.lastError?.message && this.starting.size === 0
        this.enter('failed', error)
        if (isNew) this.listener.warned?.(error)
        return
      }
      case 'ended':
        this.restarts += 1
        this.listener.warned?.(
          new EngineError('SCRIPT_ENDED', `the Python process ended (${event.text}); the next one starts`),
        )
        return this.enter('starting', this.lastError)
      case 'reloaded':
        this.reloads += 1
        return this.enter('running', null)
      case 'reloadRaised': {
        const error = errorOf(event, 'the new version of the script does not start, the old one goes on')
        this.lastError = error
        this.listener.warned?.(error)
        return
      }
      case 'line':
      case 'errorLine':
        return this.listener.printed?.(event.text, event.kind === 'errorLine')
      case 'linesLost':
        return this.listener.printed?.(`… ${event.id} lines were printed too fast`, true)
    }
  }

  private answered(event: PythonEvent): void {
    const call = this.waiting.get(event.id)
    if (!call) return
    this.waiting.delete(event.id)
    if (this.lingering) this.rest.ms = Math.max(LEAST_REST_MS, this.rest.ms * TRUST)
    this.tellSlow(call.target, event.tookMs ?? 0)
    const outcome = outcomeOf(event, call.target)
    if ('value' in outcome) return call.resolve(outcome.value)
    const { error } = outcome
    this.failures += 1
    this.lastError = error
    call.reject(error)
  }

  private enter(state: PythonStatus['state'], error: EngineError | null): void {
    if (this.state !== 'closed') this.state = state
    this.lastError = error
    if (state !== 'starting') this.settleStart(error)
    this.listener.changed?.()
  }

  private settleStart(error: EngineError | null): void {
    const starting = this.starting
    this.starting = new Set()
    for (const settle of starting) settle(error)
  }

  private tellSlow(target: string, tookMs: number): void {
    if (tookMs < this.timeoutMs * SLOW) return
    const { slow } = this
    slow.untold += 1
    const now = performance.now()
    if (now - slow.toldAt < SLOW_TELL_MS) return
    const others = slow.untold > 1 ? `, and ${slow.untold - 1} more since the last warning` : ''
    const took = `${Math.round(tookMs)} of ${this.timeoutMs} ms`
    this.listener.warned?.(new EngineError('TIMEOUT', `${spell(target)} took ${took}${others}`))
    this.slow = { untold: 0, toldAt: now }
  }
}

function spell(target: string): string {
  return target.startsWith('@') ? `the script's function for '${target.slice(1)}'` : `the script's ${target}`
}

function outcomeOf(event: PythonEvent, target: string): { value: unknown } | { error: EngineError } {
  if (event.kind !== 'value') return { error: errorOf(event, `${spell(target)} failed`) }
  try {
    return { value: fromPython(event.text, event.parts) }
  } catch (cause) {
    const text = `what came from ${spell(target)} cannot be read; let the script leave its own socket alone`
    return { error: new EngineError('SCRIPT_FAILED', text, { cause }) }
  }
}

/** What the harness tells; null where a script wrote something else into the socket. */
function objectOf<T extends object>(text: string): T | null {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

function errorOf({ kind, code, text }: PythonEvent, what: string): EngineError {
  if (!kind.toLowerCase().endsWith('raised')) return new EngineError(code ?? 'INTERNAL', text)
  const problem = objectOf<PythonProblem>(text)
  if (!problem) return new EngineError('SCRIPT_FAILED', `${what}: ${text}`)
  const place = problem.line ? ` (line ${problem.line}${problem.text ? `: ${problem.text}` : ''})` : ''
  return new EngineError('SCRIPT_FAILED', `${what}: ${problem.type}: ${problem.message}${place}`, { cause: problem })
}

function closed(): EngineError {
  return new EngineError('CLOSED', 'Python is closed; open it again')
}
