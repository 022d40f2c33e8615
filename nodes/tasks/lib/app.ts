import { EngineError } from '../../shared/errors'
import type { Broker } from './broker'
import { Control } from './control'
import { Distributed } from './distributed'
import { Embedded, type EmbeddedOptions } from './embedded'
import { Events } from './events'
import { newId } from './id'
import {
  commonOf,
  delayOf,
  type ManyOptions,
  messagesOf,
  ownOf,
  refuseOwn,
  type SendOptions,
  type TaskOptions,
  tailOf,
} from './message'
import { keep, lend } from './payloads'
import { AsyncResult } from './result'
import type { DistributedOptions } from './servers'
import { type Plain, sendSignature, TaskSignature } from './signature'
import { type Running, Worker, type WorkerOptions } from './worker'

/** An embedded queue, in this process. */
export interface EmbeddedConnection extends EmbeddedOptions {
  /** The directory of the embedded store. */
  path: string
}

export type ConnectOptions = EmbeddedConnection | DistributedOptions

/** What a task does: its arguments, and behind them the task itself with `kwargs`, `signal` and the like. */
// biome-ignore lint/suspicious/noExplicitAny: arguments of any kind
export type Handler<T = unknown> = (...args: any[]) => T | Promise<T>

/** Opens a task queue: embedded in this process, or on NATS and Redis. */
export async function connect(options: ConnectOptions): Promise<App> {
  if ('natsUrl' in options) return new App(await Distributed.open(options))
  const { path, ...rest } = options
  if (!path) {
    const text = 'connect needs a path, the directory of the embedded store, or natsUrl and redisUrl'
    throw new EngineError('INVALID_OPTION', text)
  }
  return new App(await Embedded.open(path, rest))
}

/** A connection to a task queue. */
export class App {
  readonly control: Control
  private readonly handlers = new Map<string, Handler>()
  private readonly workers = new Set<Worker>()
  private readonly streams = new Set<Events>()
  private closing: Promise<void> | undefined

  /** @internal */
  constructor(private readonly broker: Broker) {
    this.control = new Control(broker)
  }

  /** Names work. Workers of this app do it by `handler`; without one the task is only sent. */
  task<T = unknown>(name: string, handler?: Handler<T> | null, options: TaskOptions = {}): Task<T> {
    if (handler) this.handlers.set(name, handler)
    return new Task<T>(this.broker, name, options)
  }

  /** Sends a task by its name. */
  send<T = unknown>(name: string, args: readonly unknown[] = [], options?: SendOptions): Promise<AsyncResult<T>> {
    return this.task<T>(name).applyAsync(args, options)
  }

  /** Sends a workflow that is a plain object, as docs/tasks-message.md has it. */
  async sendWorkflow<T = unknown>(signature: object): Promise<AsyncResult<T>> {
    const id = await sendSignature(this.broker, signature as Plain)
    return new AsyncResult<T>(id, this.broker)
  }

  /** The result of a task that was sent before. */
  result<T = unknown>(id: string): AsyncResult<T> {
    return new AsyncResult<T>(id, this.broker)
  }

  /** A worker for the tasks that this app has a handler for by now. */
  worker(options: WorkerOptions = {}): Worker {
    const tasks = options.tasks ?? [...this.handlers.keys()]
    if (tasks.length === 0) {
      throw new EngineError('INVALID_OPTION', 'a worker needs tasks; name them by app.task before it')
    }
    return this.taker({ ...options, tasks }, (running) => this.run(running, options.onError))
  }

  /** A worker that hands each task to `begin`, which sees to it that it is reported on. */
  taker(options: WorkerOptions, begin: (running: Running) => void): Worker {
    const worker = new Worker(this.broker, options, begin)
    this.workers.add(worker)
    return worker
  }

  /** What happens from now on. */
  events({ max }: { max?: number } = {}): Events {
    const events = new Events(this.broker, max, (ended) => this.streams.delete(ended))
    this.streams.add(events)
    return events
  }

  /** Stops its workers, and closes when all that was accepted is safe. */
  close(options: { drainMs?: number } = {}): Promise<void> {
    this.closing ??= this.end(options)
    return this.closing
  }

  private async end(options: { drainMs?: number }): Promise<void> {
    for (const events of this.streams) events.end()
    // A worker that cannot be stopped is stopped by the close.
    await Promise.allSettled([...this.workers].map((worker) => worker.stop(options)))
    await this.broker.close()
  }

  /** Most handlers have their result at once: then nothing is made for what is to come. */
  private run(running: Running, onError: WorkerOptions['onError']): void {
    try {
      const handler = this.handlers.get(running.name)
      if (!handler) throw new EngineError('NOT_FOUND', `no handler does ${running.name}; name it by app.task`)
      const returned = handler(...running.args, running)
      if (!isPromise(returned)) return running.end(returned)
      running.begin()
      returned
        .then((result) => running.end(result))
        .catch((error) => running.fail(error))
        .catch((failed) => onError?.(failed))
    } catch (error) {
      running.fail(error).catch((failed) => onError?.(failed))
    }
  }
}

/** Work that can be sent. */
export class Task<T = unknown> {
  /** The same for all sends without options of their own. */
  private tail: string | undefined
  private readonly messageOf: (args: readonly unknown[], tail: string, id: string) => string

  /** @internal */
  constructor(
    private readonly broker: Broker,
    readonly name: string,
    private readonly options: TaskOptions,
  ) {
    this.messageOf = messagesOf(name)
  }

  /** Sends it. */
  delay(...args: unknown[]): Promise<AsyncResult<T>> {
    return this.applyAsync(args)
  }

  /** Sends it, with options of this one send. Resolves when the broker has it. */
  async applyAsync(args: readonly unknown[] = [], options?: SendOptions): Promise<AsyncResult<T>> {
    const id = options?.id ?? newId()
    let message: string
    try {
      this.tail ??= tailOf(this.options)
      const tail = options ? tailOf({ ...this.options, ...options }) : this.tail
      message = this.messageOf(args, tail, options?.id ? escaped(id) : id)
    } catch (error) {
      message = await this.lent(error, args, options, id)
    }
    const earlier = await this.broker.send(message)
    return new AsyncResult<T>(earlier || id, this.broker)
  }

  /** The message of arguments that JSON cannot hold: where these are Buffers, they are kept beside it. */
  private async lent(error: unknown, args: readonly unknown[], options: SendOptions = {}, id: string): Promise<string> {
    const { value, parts } = lentOf(error, { args, kwargs: options.kwargs })
    const all = { ...this.options, ...options, ...(value.kwargs && { kwargs: value.kwargs }) }
    const message = this.messageOf(value.args, tailOf(all, [...parts.keys()]), escaped(id))
    await keep(this.broker.payloads, parts, delayOf(all))
    return message
  }

  /**
   * Sends it for each list of arguments, with the same options. Resolves when the broker has all; where one is refused
   * an embedded broker takes none.
   */
  async applyMany(calls: readonly (readonly unknown[])[], options: ManyOptions = {}): Promise<AsyncResult<T>[]> {
    refuseOwn('many sends', options, 'id', 'idempotencyKey')
    const all = { ...this.options, ...options }
    const common = commonOf(this.name, tailOf(all))
    const ids: string[] = []
    const own: string[] = []
    for (const args of calls) {
      try {
        own.push(ownOf(args))
      } catch (error) {
        const { value, parts } = lentOf(error, { args })
        own.push(ownOf(value.args, [...parts.keys()]))
        await keep(this.broker.payloads, parts, delayOf(all))
      }
      ids.push(newId())
      if (ids.length % MANY_AT_ONCE === 0) await turn()
    }
    const earlier = await this.broker.sendAll(common, ids, own)
    return ids.map((id, index) => new AsyncResult<T>(earlier[index] || id, this.broker))
  }

  /** Its description, for workflows: the result of what is before it comes before `args`. */
  s(...args: unknown[]): TaskSignature<T> {
    return new TaskSignature<T>(this.broker, { task: this.name, args }).set(this.options)
  }

  /** The same, but the result of what is before it is not passed to it. */
  si(...args: unknown[]): TaskSignature<T> {
    return new TaskSignature<T>(this.broker, { task: this.name, args, immutable: true }).set(this.options)
  }
}

/** Arguments that JSON cannot hold, with names in the place of Buffers; where there are none the error stands. */
function lentOf<Value extends object>(error: unknown, value: Value) {
  const found = lend(value)
  if (found.parts.size === 0) throw error
  return found
}

/** An id that is not one of ours. */
const escaped = (id: string) => JSON.stringify(String(id)).slice(1, -1)

/** So many messages are made before others have their turn. */
const MANY_AT_ONCE = 1024

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null)?.then === 'function'
}
