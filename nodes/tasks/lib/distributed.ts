/**
 * The broker on two servers: NATS JetStream has all that was accepted until it is done, Redis what becomes of it. A send
 * is accepted when the stream has it. Whoever sent it then makes a task of it in Redis; where that does not come to
 * pass, any other finds the message that Redis does not know (`fill`). So a Redis that comes back empty is filled again.
 */
import { createHash, randomUUID } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { EngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { Batch, within } from './batch'
import type { Broker, Command, Taker, TakerEars, TakerOptions, TaskEvent, TaskInfo } from './broker'
import { Commands } from './commands'
import { unknownTask } from './id'
import { joined } from './message'
import type { Payloads } from './payloads'
import { type Answer, type Arg, closedError, State } from './redis'
import { type DistributedOptions, type Settings, settingsOf } from './servers'
import { begin, follow, type Head, headOf, pass, prepare, tooLarge } from './steps'
import { type Kept, Stream } from './stream'
import { failed, isClosed, type Line, RemoteTaker } from './taker'

type Enrolment = [head: string, message: string, seq: number]

interface Watcher {
  told(info: TaskInfo): void
  failed(error: Error): void
}

const BATCH = 500
const TICK_MS = 1000
const SOON_MS = 5
const GAP_MS = 1000
const ALIVE_MS = 5000
const SWEEP_MS = 1000
/** What is done, and still in the stream, runs again where Redis loses all. */
const SWEEP_PAUSE_MS = 20
const CLOSE_MS = 2000
const GZIP = 0x1f

export class Distributed implements Broker {
  readonly instance = randomUUID()
  private state!: State
  private stream!: Stream
  private readonly takers = new Map<string, RemoteTaker>()
  private readonly watchers = new Map<string, Set<Watcher>>()
  private readonly hearers = new Set<(event: TaskEvent) => void>()
  private readonly commands: Commands
  private known: readonly string[] = []
  private subscribing: Promise<void> | undefined
  private closing: Promise<void> | undefined
  private ticking = false
  private tickAt = Number.POSITIVE_INFINITY
  private tickTimer: NodeJS.Timeout | undefined
  private tickedAt: number | undefined
  private filling: Promise<void> | undefined
  private stale = false
  private recovering: Promise<void> | undefined
  private sweeping = false
  private dirty = false
  private readonly timers: NodeJS.Timeout[] = []

  private readonly enrolments = new Batch<Enrolment, string>(BATCH, (all) => this.list<string>('enrol', all))
  private readonly reports = new Batch<Line, number>(BATCH, (all) => this.list<number>('report', all))

  static async open(options: DistributedOptions): Promise<Distributed> {
    const broker = new Distributed(settingsOf(options))
    await broker.connect()
    return broker
  }

  private constructor(private readonly settings: Settings) {
    this.commands = new Commands(this)
  }

  get payloads(): Payloads {
    return this.state
  }

  get maxPayloadBytes(): number {
    return Math.min(this.settings.maxPayloadBytes, this.stream.maxPayloadBytes)
  }

  /** Sends that wait for NATS. */
  get buffered(): number {
    return this.stream.buffered
  }

  async send(message: string): Promise<string> {
    const { head, data } = this.read(message)
    this.open()
    if (this.subscribing) await this.subscribing
    const seq = await this.stream.publish('task', data)
    // It is safe. Without Redis whoever comes first makes a task of it later.
    if (!this.state.connected && !head.idempotencyKey) return head.id
    try {
      return (await this.enrolments.put([JSON.stringify(head), message, seq])) || head.id
    } catch (error) {
      // The same holds where Redis is there and has no room. Only it knows which task a key stands for.
      if (isClosed(error) || head.idempotencyKey) throw error
      return head.id
    }
  }

  async sendAll(common: string, ids: readonly string[], own: readonly string[]): Promise<string[]> {
    const messages = ids.map((id, place) => joined(common, id, own[place] as string))
    for (const message of messages) this.read(message)
    return Promise.all(messages.map((message) => this.send(message)))
  }

  async sendWorkflow(signature: string): Promise<string> {
    const { settings } = this
    const prepared = prepare(signature)
    const args = begin(prepared.signature, settings.routes, this.maxPayloadBytes)
    let data = Buffer.from(prepared.signature)
    if (data.length > this.maxPayloadBytes) data = gzipSync(data)
    if (data.length > this.maxPayloadBytes) throw tooLarge('the workflow', data.length, this.maxPayloadBytes)
    this.open()
    if (this.subscribing) await this.subscribing
    const seq = await this.stream.publish('workflow', data)
    if (this.state.connected) await this.step('workflow', prepared.id, seq, prepared.single ? 0 : prepared.tasks, args)
    return prepared.id
  }

  async take(options: TakerOptions, ears: TakerEars): Promise<Taker> {
    this.open()
    const taker = new RemoteTaker(this, options, ears)
    this.takers.set(taker.id, taker)
    try {
      await taker.open()
    } catch (error) {
      this.takers.delete(taker.id)
      throw error
    }
    return taker
  }

  async control<T>(command: Command): Promise<T> {
    this.open()
    if (this.subscribing) await this.subscribing
    return (await this.commands.run(command)) as T
  }

  watch(id: string, told: (info: TaskInfo) => void, failed: (error: Error) => void): () => void {
    if (this.closing) {
      // Not before this returns.
      queueMicrotask(() => failed(closedError()))
      return () => {}
    }
    const watcher = { told, failed }
    const others = this.watchers.get(id)
    if (others) others.add(watcher)
    else {
      this.watchers.set(id, new Set([watcher]))
      this.state.listen(`w:${id}`).then(
        () => this.look(id),
        (error) => this.giveUp(id, error),
      )
    }
    return () => {
      const all = this.watchers.get(id)
      if (all?.delete(watcher) && all.size === 0) this.unwatch(id)
    }
  }

  events(hear: (event: TaskEvent) => void): () => void {
    this.open()
    this.hearers.add(hear)
    if (this.hearers.size === 1) {
      const subscribing = this.state.listen('events').catch(() => {})
      this.subscribing = subscribing.then(() => {
        this.subscribing = undefined
      })
    }
    return () => {
      if (this.hearers.delete(hear) && this.hearers.size === 0) this.state.unlisten('events')
    }
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  // What takers and commands need.

  /** One step in Redis, and what it leaves to do. */
  async step(op: string, ...args: Arg[]): Promise<unknown> {
    return this.after(await this.state.step(op, ...args))
  }

  /** The same for who does not wait long. */
  async ask(op: string, ...args: (string | number)[]): Promise<unknown> {
    return this.after(await this.state.ask(op, ...args))
  }

  report(line: Line): Promise<number> {
    return this.reports.put(line)
  }

  lanes(): readonly string[] {
    return this.known
  }

  async findLanes(): Promise<void> {
    this.known = (await this.step('lanes')) as string[]
  }

  leave(taker: RemoteTaker): void {
    this.takers.delete(taker.id)
  }

  /** Sends a dead task's message again, as new. */
  async resend(id: string, message: string): Promise<boolean> {
    const head = headOf(message, this.settings.routes)
    const seq = await this.stream.publish('task', Buffer.from(message))
    return (await this.step('resend', id, JSON.stringify(head), message, seq)) === 1
  }

  private async connect(): Promise<void> {
    const broken = (problem: EngineError) => this.settings.onProblem(problem)
    const [state, stream] = await Promise.allSettled([
      State.open(this.settings, {
        tell: (channel, text) => this.hear(channel, text),
        back: () => {
          this.stale = true
          // One that began before may have missed what this brings.
          this.background((this.recovering ?? Promise.resolve()).catch(() => {}).then(() => this.recover()))
        },
        broken,
      }),
      Stream.open(this.settings, {
        broken,
        back: () => {
          if (this.stale) this.background(this.recover())
        },
        binned: (seqs) => this.background(this.step('binned', seqs)),
      }),
    ])
    if (state.status === 'fulfilled') this.state = state.value
    if (stream.status === 'fulfilled') this.stream = stream.value
    if (state.status === 'rejected' || stream.status === 'rejected') {
      this.state?.close()
      await this.stream?.close()
      throw (stream as PromiseRejectedResult).reason ?? (state as PromiseRejectedResult).reason
    }
    await this.state.listen('wake', `i:${this.instance}`)
    await this.greet()
    await this.findLanes()
    this.every(GAP_MS, () => (this.stale ? this.recover() : this.fill()))
    this.every(ALIVE_MS, () => this.alive())
    this.every(SWEEP_MS, async () => this.sweepSoon())
    this.tickIn(0)
  }

  private open(): void {
    if (this.closing) throw closedError()
  }

  private every(ms: number, call: () => Promise<void>): void {
    this.timers.push(setInterval(() => this.background(call()), ms).unref())
  }

  /** What goes wrong here is done by the next round, or by another instance. */
  private background(work: Promise<unknown>): void {
    work.catch((error) => {
      if (!isClosed(error) && error instanceof EngineError && error.code === 'INTERNAL') this.settings.onProblem(error)
    })
  }

  private async list<A>(op: string, calls: (string | number)[][]): Promise<A[]> {
    return (await this.step(op, calls.flat())) as A[]
  }

  /** Goes on behind what ended in a step. */
  private after({ value, owed, full, thrown }: Answer): unknown {
    if (thrown === 1) this.sweepSoon()
    for (const id of owed) this.background(this.settle(id))
    for (const id of full) this.background(this.pass(id))
    return value
  }

  private async settle(id: string): Promise<void> {
    const [message, outcome, root, cancelled] = (await this.step('debt', id)) as [string, string, string, number]
    if (!message) return
    await this.step('settle', id, follow(message, outcome, root, cancelled === 1, this.settings.routes))
  }

  private async pass(id: string): Promise<void> {
    const [join, cancelled, ...outcomes] = (await this.step('join', id)) as [string, number, ...string[]]
    if (join) await this.step('pass', id, pass(join, outcomes, cancelled === 1, this.settings.routes))
  }

  private hear(channel: string, text: string): void {
    if (channel === 'wake') {
      if (text === 'lanes') this.background(this.findLanes().then(() => this.pull()))
      else if (text === 'ready') this.pull()
      else this.tickIn(Number(text))
    } else if (channel === 'events') {
      const event = JSON.parse(text) as TaskEvent
      for (const hear of [...this.hearers]) hear(event)
    } else if (channel.startsWith('w:')) this.tell(channel.slice(2), text)
    else {
      const [what, worker = '', token] = text.split(' ')
      const taker = this.takers.get(worker)
      if (what === 'cancel') taker?.cancel(Number(token))
      else taker?.lost(Number(token))
    }
  }

  private pull(): void {
    for (const taker of this.takers.values()) taker.pull()
  }

  private tell(id: string, text: string): void {
    const watchers = this.watchers.get(id)
    if (!watchers) return
    this.unwatch(id)
    const info = JSON.parse(text) as TaskInfo
    for (const { told } of watchers) told(info)
  }

  private unwatch(id: string): void {
    this.watchers.delete(id)
    this.state.unlisten(`w:${id}`)
  }

  private giveUp(id: string, error: Error): void {
    const watchers = this.watchers.get(id) ?? []
    this.watchers.delete(id)
    for (const { failed } of watchers) failed(error)
  }

  /** A result that is there was told before this one listened. */
  private async look(id: string): Promise<void> {
    try {
      const text = (await this.step('watch', id)) as string
      if (text === 'wait') return
      // Who brings Redis up to date looks again.
      if (text === '' && this.stale) return
      this.tell(id, text || JSON.stringify(unknownTask(id)))
    } catch (error) {
      this.giveUp(id, error as Error)
    }
  }

  private tickIn(ms: number): void {
    // Clocks jump.
    const at = performance.now() + ms
    if (this.closing || at >= this.tickAt) return
    clearTimeout(this.tickTimer)
    this.tickAt = at
    this.tickTimer = setTimeout(() => this.tick(), ms).unref()
  }

  /** What a message says, if it can be sent. */
  private read(message: string): { head: Head; data: Buffer } {
    const data = Buffer.from(message)
    if (data.length > this.maxPayloadBytes) throw tooLarge('the task', data.length, this.maxPayloadBytes)
    return { head: headOf(message, this.settings.routes), data }
  }

  private async tick(): Promise<void> {
    this.tickAt = Number.POSITIVE_INFINITY
    // What comes meanwhile sees to it that there is another one.
    if (this.ticking) return this.tickIn(SOON_MS)
    this.ticking = true
    let next = TICK_MS
    const at = performance.now()
    const passed = this.tickedAt === undefined ? '' : Math.ceil(at - this.tickedAt)
    try {
      const [due, names, late] = (await this.step('tick', passed)) as [string, string, (string | number)[]]
      this.tickedAt = at
      if (due !== '') next = Math.max(0, Math.min(TICK_MS, Number(due)))
      for (let at = 0; at < late.length; at += 4) {
        const [id, token, retries, text] = late.slice(at, at + 4) as [string, string, number, string]
        this.background(this.report(failed(id, String(token), text, Number(retries), OVERDUE)))
      }
      if (names !== '') for (const name of names.split('\x1f')) this.background(this.fire(name))
      this.pull()
    } catch {
      // Redis is away: it comes back, or this is closed.
    } finally {
      this.ticking = false
      this.tickIn(next)
    }
  }

  /** Sends a periodic task. Its id is that of its time, so that a second sender sends the same. */
  private async fire(name: string): Promise<void> {
    const [fields, due, now] = (await this.step('claim', name)) as [string, string, string]
    if (!fields) return
    const { schedule, message } = JSON.parse(fields)
    const id = idOf(`${this.settings.prefix} ${name} ${due}`, Number(due))
    try {
      await this.send(JSON.stringify({ ...message, v: 1, id, createdAt: Number(now) }))
    } catch (error) {
      // What can never be sent must not come up again at once.
      if (!(error instanceof EngineError) || error.retryable) throw error
    }
    const everyMs = Number(schedule.everyMs)
    const beat = Number(due) + everyMs
    const next = everyMs > 0 && beat > Number(now) ? beat : nextFiring(schedule, Number(now))
    await this.step('fired', name, due, next ?? '')
    this.tickIn(next === null ? TICK_MS : Math.max(0, Math.min(TICK_MS, next - Number(now))))
  }

  private async alive(): Promise<void> {
    if (this.takers.size === 0) return
    const [unknown, held] = (await this.step('alive', ...this.takers.keys())) as [string[], string[]]
    for (const worker of unknown) await this.takers.get(worker)?.enter()
    for (let at = 0; at < held.length; at += 3) {
      const [worker = '', id = '', token = ''] = held.slice(at, at + 3)
      const taker = this.takers.get(worker)
      // It was handed out, and the answer was lost with the connection.
      if (taker && !taker.known(Number(token))) await this.report(['give-back', id, token, '', ''])
    }
  }

  /** Redis came back, and may not know yet what it has to: waits for that. */
  async recovered(): Promise<void> {
    if (this.stale) await this.recover().catch(() => {})
  }

  /** Brings up to date what was not heard while Redis was away. Without NATS it is tried again. */
  private recover(): Promise<void> {
    this.recovering ??= this.bringUp().finally(() => {
      this.recovering = undefined
    })
    return this.recovering
  }

  private async bringUp(): Promise<void> {
    await this.findLanes()
    await this.alive()
    await this.lookAtAll()
    this.pull()
    await this.greet()
    await this.filled()
    this.stale = false
    await this.findLanes()
    await this.lookAtAll()
    this.pull()
  }

  private async lookAtAll(): Promise<void> {
    await Promise.all([...this.watchers.keys()].map((id) => this.look(id)))
  }

  private async greet(): Promise<void> {
    const { first, last } = await this.stream.range()
    const [empty] = (await this.step('hello', first, last)) as [number, string]
    if (empty !== 1 || last === 0) return
    const text =
      'Redis came back empty: results, dead letters, settings and schedules are gone; tasks that were not done run again'
    this.settings.onProblem(new EngineError('STORE_FAILED', text))
    const event = { event: 'backend-lost', at: Date.now() }
    for (const hear of [...this.hearers]) hear(event)
    await this.fill(true)
  }

  /** Makes tasks of messages that Redis does not know: their sender ended before, or Redis lost them. */
  private async fill(now = false): Promise<void> {
    if (this.filling) return this.filling
    this.filling = this.fillIn(now).finally(() => {
      this.filling = undefined
    })
    return this.filling
  }

  private async fillIn(now: boolean): Promise<void> {
    if (!this.state.connected || !this.stream.connected) return
    const { first, last } = await this.stream.range()
    const missing = (await this.step('gap', last, now ? 1 : 0)) as string
    if (missing === '') return
    const from = Math.max(first, Number(missing))
    let waiting: Promise<unknown>[] = []
    for await (const kept of from <= last ? this.stream.read(from, last) : []) {
      const admitted = this.admit(kept)
      // It is looked at when the others are read.
      admitted.catch(() => {})
      waiting.push(admitted)
      if (waiting.length >= BATCH) await Promise.all(waiting.splice(0))
    }
    await Promise.all(waiting)
    waiting = []
    await this.step('passed', last)
  }

  /** A message of the stream that can never be a task is dropped, and said. */
  private async admit({ kind, seq, data }: Kept): Promise<void> {
    try {
      if (kind === 'task') {
        const message = Buffer.from(data).toString()
        await this.enrolments.put([JSON.stringify(headOf(message, this.settings.routes)), message, seq])
        return
      }
      const text = (data[0] === GZIP ? unzipped(data) : Buffer.from(data)).toString()
      const { id, signature, tasks, single } = prepare(text)
      const args = begin(signature, this.settings.routes, Number.POSITIVE_INFINITY)
      await this.step('workflow', id, seq, single ? 0 : tasks, args)
    } catch (error) {
      if (!(error instanceof EngineError) || !['INVALID_INPUT', 'INVALID_WORKFLOW'].includes(error.code)) throw error
      this.settings.onProblem(error)
      this.stream.discard([String(seq)])
    }
  }

  /** Waits until Redis knows all that the stream has, a while. */
  private async filled(): Promise<void> {
    for (let rounds = 0; rounds < 20 && !this.closing; rounds += 1) {
      await this.fill()
      const { last } = await this.stream.range()
      if (((await this.step('gap', last, 2)) as string) === '') return
      await new Promise((resolve) => setTimeout(resolve, GAP_MS / 2).unref())
    }
  }

  /** Deletes what is done from the stream, at once, and then for a while no more often than in pauses. */
  private sweepSoon(): void {
    this.dirty = true
    if (!this.sweeping) this.background(this.sweepAll())
  }

  private async sweepAll(): Promise<void> {
    this.sweeping = true
    try {
      while (this.dirty && !this.closing) {
        this.dirty = false
        if (await this.sweep()) this.dirty = true
        await new Promise((resolve) => setTimeout(resolve, SWEEP_PAUSE_MS).unref())
      }
    } finally {
      this.sweeping = false
    }
  }

  /** In one request all up to the first that is not done, or else singly. Whether there may be more. */
  private async sweep(): Promise<boolean> {
    if (!this.state.connected || !this.stream.connected || this.stream.discarding) return false
    const { first } = await this.stream.range()
    const [upto, single] = (await this.step('sweep', first)) as [string, string[]]
    if (Number(upto) >= first) await this.stream.cut(Number(upto))
    else this.stream.discard(single)
    return Number(upto) >= first
  }

  private async end(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer)
    clearTimeout(this.tickTimer)
    const end = performance.now() + CLOSE_MS
    await this.stream.settled(CLOSE_MS)
    this.enrolments.flush()
    this.reports.flush()
    // Sends that the stream has just taken go to Redis, too.
    await new Promise((resolve) => setImmediate(resolve))
    const closings = [...this.takers.values()].map((taker) => taker.close())
    const last = Promise.all([...closings, this.step('lanes')])
    await within(this.state.connected ? Math.max(CLOSE_MS / 2, end - performance.now()) : 0, last)
    await this.stream.close()
    this.state.close()
    for (const id of [...this.watchers.keys()]) this.giveUp(id, closedError())
  }
}

function unzipped(data: Uint8Array): Buffer {
  try {
    return gunzipSync(data)
  } catch (cause) {
    const text = `a workflow in the stream is no gzip: ${(cause as Error).message}`
    throw new EngineError('INVALID_WORKFLOW', text, { cause })
  }
}

const OVERDUE = { type: 'EngineError', message: 'the task took longer than its timeoutMs', code: 'TIMEOUT' }

export function nextFiring(schedule: object, after: number): number | null {
  return engine(() => native().nextFiring(JSON.stringify(schedule), after)) ?? null
}

/** A UUID of version 7 that is the same for the same text and time. */
function idOf(text: string, ms: number): string {
  const hash = createHash('sha256').update(text).digest('hex')
  const time = Math.floor(ms).toString(16).padStart(12, '0')
  const variant = ((Number.parseInt(hash.slice(3, 4), 16) & 3) | 8).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(8, 20)}`
}
