/**
 * The broker in the native binary, in a directory of its own. The frames that cross are described at the head of
 * native/src/bindings/tasks.rs. What is sent and reported in one turn of the event loop crosses at once.
 */
import type { TaskQueue } from '#native'
import { withBytes } from '../../shared/bytes'
import { EngineError, toEngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import {
  type Broker,
  type Command,
  DEFAULT_LIMIT,
  MOST,
  type Report,
  type Taken,
  type Taker,
  type TakerEars,
  type TakerOptions,
  type TaskEvent,
  type TaskInfo,
} from './broker'
import { isId, unknownTask } from './id'
import { PayloadFolder } from './payload-folder'

export interface EmbeddedOptions {
  /** When a send is acknowledged: on the disk, or when the operating system has it. Default `bounded`. */
  durability?: 'fsync' | 'bounded'
  /** With `bounded`: what a loss of power can take. Default 200. */
  syncMs?: number
  /** Queues of tasks that name none; exact names go before patterns. */
  routes?: readonly { match: string; queue: string }[]
  /** The largest message or result. Default 1 MB. */
  maxPayloadBytes?: number
  /** Tasks that wait or run, at most. Default 5,000,000. */
  maxTasks?: number
  /** Default: a day. */
  resultTtlMs?: number
  /** Default 1,000,000. */
  maxResults?: number
  /** Default: a day. */
  idempotencyWindowMs?: number
  /** Memory for messages that wait. Default 32 MB. */
  cacheBytes?: number
  /** Events that wait for their reader. Default 10,000. */
  maxEvents?: number
  /** Cuts a damaged store where the damage begins. */
  repair?: boolean
}

const MAX_PAYLOAD = 1 << 20
/** So many bytes cross at once. */
const CROSSING = 4 << 20
/** So many frames cross at once. Fewer would let the engine begin earlier, but each crossing is a commit. */
const FRAMES = 4096
/** What may be over after a while: then the queue is opened again. */
const MENDS: readonly string[] = ['DISK_FULL', 'STORE_FAILED']
const REOPEN_MIN_MS = 500
const REOPEN_MAX_MS = 10_000
/** So many sends of a turn are accepted at once: who sends without an end must let others have their turn, too. */
const AT_ONCE = 256
/** Accepted, and no duplicate. */
const ACCEPTED = Promise.resolve('')
const acceptedLater = () => new Promise<string>((resolve) => setImmediate(resolve, ''))

const KINDS: Record<Report, number> = {
  started: 0,
  done: 1,
  failed: 2,
  retry: 3,
  progress: 4,
  heartbeat: 5,
  'give-back': 6,
  revoked: 7,
}

type Answered = (error: EngineError | null, value: unknown) => void

interface Waiting<T> {
  resolve(value: T): void
  reject(error: EngineError): void
}

/** The smallest buffer: some of them are one piece of Node.js's own pool. */
const BUFFER = 1024
/** Bytes of a report before its text: kind and token. */
const REPORT_HEAD = 9

/** Frames that wait for the end of the turn, each with who waits for its answer. */
class Outgoing<T> {
  private buffer = Buffer.allocUnsafe(BUFFER)
  private used = 0
  private waiting: Waiting<T>[] = []
  private due = false

  constructor(private readonly cross: (frames: Buffer, waiting: Waiting<T>[]) => void) {}

  get isEmpty(): boolean {
    return this.used === 0
  }

  /** A frame of a text. */
  put(text: string, waiting: Waiting<T>): void {
    this.room(4 + text.length * 3)
    this.end(this.used + 4, text, waiting)
  }

  /** A frame of a report. */
  putReport(kind: number, token: number, text: string, waiting: Waiting<T>): void {
    this.room(4 + REPORT_HEAD + text.length * 3)
    const at = this.used + 4
    this.buffer[at] = kind
    this.buffer.writeDoubleLE(token, at + 1)
    this.end(at + REPORT_HEAD, text, waiting)
  }

  flush(): void {
    if (this.used === 0) return
    const { buffer, used, waiting } = this
    // The engine reads it later, so the next frames need another one.
    this.buffer = Buffer.allocUnsafe(Math.max(BUFFER, Math.min(used * 2, CROSSING)))
    this.used = 0
    this.waiting = []
    this.cross(buffer.subarray(0, used), waiting)
  }

  private room(most: number): void {
    if (this.used > 0 && this.used + most > CROSSING) this.flush()
    const needed = this.used + most
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.used)
    this.buffer = larger
  }

  /** The text is the rest of the frame. */
  private end(at: number, text: string, waiting: Waiting<T>): void {
    const end = at + this.buffer.write(text, at)
    this.buffer.writeUInt32LE(end - this.used - 4, this.used)
    this.used = end
    if (this.waiting.push(waiting) >= FRAMES) return this.flush()
    if (this.due) return
    this.due = true
    setImmediate(() => {
      this.due = false
      this.flush()
    })
  }
}

/** A worker, and its number in the queue that is open. */
interface Taking {
  readonly options: TakerOptions
  readonly ears: TakerEars
  worker: number
}

interface Watcher {
  told(info: TaskInfo): void
  failed(error: Error): void
}

interface Page {
  tasks: TaskInfo[]
  next: string | null
}

export class Embedded implements Broker {
  readonly maxPayloadBytes: number
  private queue!: TaskQueue
  private readonly tickets = new Map<number, Answered>()
  private nextTicket = 1
  private readonly takings = new Set<Taking>()
  /** By their numbers. */
  private readonly takers = new Map<number, Taking>()
  /** The newest worker that was answered; their numbers grow. */
  private newest = -1
  /** Frames may be here before the answer that names their worker. */
  private early: { worker: number; deliver: (ears: TakerEars) => void }[] = []
  private readonly watchers = new Map<string, Set<Watcher>>()
  private toWatch: string[] = []
  private readonly listeners = new Set<(event: TaskEvent) => void>()
  private closing: Promise<void> | undefined
  private atOnce = AT_ONCE

  readonly payloads: PayloadFolder
  private readonly sends = new Outgoing<string>((frames, waiting) => this.crossSends(frames, waiting))
  private readonly reports = new Outgoing<boolean>((frames, waiting) => this.crossReports(frames, waiting))

  static async open(path: string, options: EmbeddedOptions = {}): Promise<Embedded> {
    const broker = new Embedded(path, options)
    broker.queue = await broker.openQueue()
    await broker.payloads.open()
    return broker
  }

  private constructor(
    private readonly path: string,
    private readonly options: EmbeddedOptions,
  ) {
    this.maxPayloadBytes = options.maxPayloadBytes ?? MAX_PAYLOAD
    this.payloads = new PayloadFolder(path)
  }

  send(message: string): Promise<string> {
    // What waits to cross was sent before.
    if (this.atOnce > 0 && this.sends.isEmpty && this.options.durability !== 'fsync') {
      if (this.atOnce === AT_ONCE) {
        setImmediate(() => {
          this.atOnce = AT_ONCE
        })
      }
      this.atOnce -= 1
      // Who waits for the last one goes on in the next turn; what others send in this one crosses together.
      if (this.queue.takeIn(message)) return this.atOnce > 0 ? ACCEPTED : acceptedLater()
      // It has its reasons, which last a while.
      this.atOnce = 0
    }
    const bytes = message.length * 3 > this.maxPayloadBytes ? Buffer.byteLength(message) : 0
    if (bytes > this.maxPayloadBytes) return Promise.reject(tooLarge(bytes, this.maxPayloadBytes))
    return new Promise((resolve, reject) => this.sends.put(message, { resolve, reject }))
  }

  async sendAll(common: string, ids: readonly string[], own: readonly string[]): Promise<string[]> {
    const earlier = new Array<string>(ids.length).fill('')
    if (ids.length === 0) return earlier
    this.sends.flush()
    let text = common
    for (let place = 0; place < ids.length; place += 1) text += `\n${ids[place]}${own[place]}`
    const odd = await withBytes(text, (lines) => this.ask<Odd[]>((ticket) => this.queue.sendAll(ticket, lines)))
    for (const { index, id } of odd) earlier[index] = id ?? ''
    return earlier
  }

  async sendWorkflow(signature: string): Promise<string> {
    const { id } = await this.ask<{ id: string }>((ticket) => this.queue.sendWorkflow(ticket, signature))
    return id
  }

  async take(options: TakerOptions, ears: TakerEars): Promise<Taker> {
    const taking = { options, ears, worker: -1 }
    await this.openWorker(taking)
    this.takings.add(taking)
    return this.taker(taking)
  }

  async control<T>(command: Command): Promise<T> {
    const ask = <A>(one: Command) => this.ask<A>((ticket) => this.queue.control(ticket, JSON.stringify(one)))
    if (command.op !== 'list') return ask<T>(command)
    const page = await ask<Page>(command)
    const limit = Math.min(Number(command.limit ?? DEFAULT_LIMIT), MOST)
    // The engine looks through so many at a time, so that others have their turn.
    while (page.next !== null && page.tasks.length < limit) {
      const more = await ask<Page>({ ...command, after: page.next, limit: limit - page.tasks.length })
      page.tasks.push(...more.tasks)
      page.next = more.next
    }
    return page as T
  }

  watch(id: string, told: (info: TaskInfo) => void, failed: (error: Error) => void): () => void {
    if (!isId(id)) {
      let stopped = false
      // Not before this returns.
      queueMicrotask(() => stopped || told(unknownTask(id)))
      return () => {
        stopped = true
      }
    }
    const watcher = { told, failed }
    const others = this.watchers.get(id)
    if (others) others.add(watcher)
    else {
      this.watchers.set(id, new Set([watcher]))
      if (this.toWatch.push(id) === 1) setImmediate(() => this.crossWatches())
    }
    return () => {
      const all = this.watchers.get(id)
      if (!all?.delete(watcher) || all.size > 0) return
      this.watchers.delete(id)
      this.toWatch = this.toWatch.filter((other) => other !== id)
      if (!this.closing) this.queue.unwatch([id])
    }
  }

  events(hear: (event: TaskEvent) => void): () => void {
    this.listeners.add(hear)
    if (this.listeners.size === 1) engine(() => this.queue.wantEvents(true))
    return () => {
      if (this.listeners.delete(hear) && this.listeners.size === 0 && !this.closing) this.queue.wantEvents(false)
    }
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.payloads.close()
    this.sends.flush()
    this.reports.flush()
    try {
      await this.queue.close()
    } catch (error) {
      throw toEngineError(error)
    } finally {
      this.drain(this.queue)
      const closed = closedError()
      for (const answered of this.tickets.values()) answered(closed, null)
      this.tickets.clear()
      for (const watchers of this.watchers.values()) for (const { failed } of watchers) failed(closed)
      this.watchers.clear()
    }
  }

  private async openQueue(): Promise<TaskQueue> {
    try {
      const queue: TaskQueue = await native().TaskQueue.open(this.path, JSON.stringify(this.options), () =>
        this.drain(queue),
      )
      return queue
    } catch (error) {
      throw toEngineError(error)
    }
  }

  /** The queue has ended, and until another one is open it says why. */
  private async reopen(): Promise<void> {
    for (let wait = REOPEN_MIN_MS; ; wait = Math.min(wait * 2, REOPEN_MAX_MS)) {
      await new Promise<void>((resolve) => setTimeout(resolve, wait).unref())
      if (this.closing) return
      const queue = await this.openQueue().catch(() => undefined)
      if (!queue) continue
      if (this.closing) return queue.close()
      return this.goOn(queue)
    }
  }

  /** Goes on with a new queue: what workers had went back, and they take anew. */
  private goOn(queue: TaskQueue): void {
    const old = this.queue
    this.sends.flush()
    this.reports.flush()
    this.drain(old)
    this.queue = queue
    // It has nothing but what it still answers.
    old.close().catch(() => {})
    this.takers.clear()
    this.early = []
    this.newest = -1
    for (const taking of this.takings) {
      taking.ears.gone()
      // It fails where this queue has ended, too: the next one has it again.
      this.openWorker(taking).catch(() => {})
    }
    if (this.listeners.size > 0) queue.wantEvents(true)
    this.toWatch = [...this.watchers.keys()]
    this.crossWatches()
  }

  private openWorker(taking: Taking): Promise<void> {
    return new Promise((resolve, reject) => {
      // Not behind a promise: the frames that follow in the same crossing are for these ears.
      this.call(
        (ticket) => this.queue.openWorker(ticket, JSON.stringify(taking.options)),
        (error, answer) => {
          if (error) return reject(error)
          const worker = answer as number
          taking.worker = worker
          this.newest = worker
          this.takers.set(worker, taking)
          const early = this.early.filter((frame) => frame.worker === worker)
          this.early = this.early.filter((frame) => frame.worker !== worker)
          for (const { deliver } of early) deliver(taking.ears)
          resolve()
        },
      )
    })
  }

  private taker(taking: Taking): Taker {
    const untold: Waiting<boolean> = { resolve: () => {}, reject: (error) => taking.ears.failed(error) }
    return {
      report: (report, token, payload = '') =>
        new Promise((resolve, reject) => this.reports.putReport(KINDS[report], token, payload, { resolve, reject })),
      tell: (report, token, payload = '') => this.reports.putReport(KINDS[report], token, payload, untold),
      drain: () => this.ask((ticket) => this.queue.drainWorker(ticket, taking.worker)),
      close: async () => {
        this.reports.flush()
        this.takings.delete(taking)
        await this.ask((ticket) => this.queue.closeWorker(ticket, taking.worker))
        this.takers.delete(taking.worker)
      },
    }
  }

  private ask<T>(call: (ticket: number) => unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      this.call(call, (error, value) => (error ? reject(error) : resolve(value as T)))
    })
  }

  private call(call: (ticket: number) => unknown, answered: Answered): void {
    const ticket = this.nextTicket
    this.nextTicket += 1
    this.tickets.set(ticket, answered)
    try {
      call(ticket)
    } catch (error) {
      this.tickets.delete(ticket)
      answered(toEngineError(error), null)
    }
  }

  private crossSends(frames: Buffer, waiting: Waiting<string>[]): void {
    this.call(
      (ticket) => this.queue.send(ticket, frames),
      (error, answer) => {
        if (error) return fail(waiting, error)
        // What is settled stays as it is.
        for (const { index, id, code, message } of answer as Odd[]) {
          if (code) waiting[index]?.reject(codedError(code, message ?? code))
          else waiting[index]?.resolve(id ?? '')
        }
        for (const { resolve } of waiting) resolve('')
      },
    )
  }

  private crossReports(frames: Buffer, waiting: Waiting<boolean>[]): void {
    this.call(
      (ticket) => this.queue.report(ticket, frames),
      (error, answer) => {
        if (error) return fail(waiting, error)
        for (const late of answer as number[]) waiting[late]?.resolve(false)
        for (const { resolve } of waiting) resolve(true)
      },
    )
  }

  private crossWatches(): void {
    const ids = this.toWatch
    this.toWatch = []
    if (ids.length === 0) return
    try {
      this.queue.watch(ids)
    } catch (error) {
      for (const id of ids) {
        for (const { failed } of this.watchers.get(id) ?? []) failed(toEngineError(error))
        this.watchers.delete(id)
      }
    }
  }

  private drain(queue: TaskQueue): void {
    const drained = queue.drain()
    if (!drained) return
    for (let at = 0; at < drained.length; ) {
      const end = at + 4 + drained.readUInt32LE(at)
      this.frame(drained[at + 4] as number, drained, at + 5, end)
      at = end
    }
  }

  private frame(kind: number, all: Buffer, at: number, end: number): void {
    const json = (from: number) => JSON.parse(all.toString('utf8', from, end))
    if (kind <= 2) {
      const worker = all.readUInt32LE(at)
      const token = all.readDoubleLE(at + 4)
      if (kind === 0) {
        const taken = this.taken(token, all, at + 12, end)
        const taking = this.takers.get(worker)
        if (taking) taking.ears.task(taken)
        else this.deliver(worker, (late) => late.task(taken))
      } else this.deliver(worker, (ears) => (kind === 1 ? ears.cancel(token) : ears.lost(token)))
    } else if (kind === 3) {
      const info = json(at) as TaskInfo
      const watchers = this.watchers.get(info.id) ?? []
      this.watchers.delete(info.id)
      for (const { told } of watchers) told(info)
    } else if (kind === 4) {
      const ticket = all.readDoubleLE(at)
      const answered = this.tickets.get(ticket)
      this.tickets.delete(ticket)
      const value = json(at + 9)
      if (all[at + 8] === 1) answered?.(null, value)
      else answered?.(codedError(value.code, value.message), null)
    } else if (kind === 5) {
      const event = json(at)
      for (const hear of [...this.listeners]) hear(event)
    } else if (MENDS.includes(json(at).code)) this.reopen()
  }

  private taken(token: number, all: Buffer, at: number, end: number): Taken {
    const name = at + 12
    const message = name + all.readUInt32LE(at + 8)
    return {
      token,
      retries: all.readUInt32LE(at),
      deliveries: all.readUInt32LE(at + 4),
      queue: all.toString('utf8', name, message),
      message: JSON.parse(all.toString('utf8', message, end)),
    }
  }

  private deliver(worker: number, deliver: (ears: TakerEars) => void): void {
    const taking = this.takers.get(worker)
    if (taking) deliver(taking.ears)
    else if (worker > this.newest) this.early.push({ worker, deliver })
  }
}

/** What of a batch was not simply accepted. */
interface Odd {
  index: number
  id?: string
  code?: string
  message?: string
}

/** Who stands there for several frames hears it once. */
function fail(waiting: Waiting<never>[], error: EngineError): void {
  for (const { reject } of new Set(waiting)) reject(error)
}

function codedError(code: string, message: string): EngineError {
  return toEngineError(Object.assign(new Error(message), { code }))
}

function closedError(): EngineError {
  return new EngineError('CLOSED', 'the task queue is closed; connect again')
}

function tooLarge(bytes: number, max: number): EngineError {
  const text = `the task has ${bytes} bytes, more than the ${max} of maxPayloadBytes; pass a reference to the data instead`
  return new EngineError('TOO_LARGE', text)
}
