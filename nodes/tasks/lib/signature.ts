/** Work that is described and not yet sent, and how several of it go together. */
import { EngineError } from '../../shared/errors'
import { toJson } from '../../shared/json'
import type { Broker } from './broker'
import { newId } from './id'
import { fieldsOf, refuseOwn, type SendOptions, seconds } from './message'
import { keep, lendAll } from './payloads'
import { AsyncResult, GroupResult } from './result'

export type OnError = 'stop' | 'continue'

/** A signature as it is sent: see docs/tasks-message.md. */
export type Plain = Record<string, unknown>

/** One task, a chain, a group or a chord. Immutable: what changes it makes another one. */
export class Signature<T = unknown> {
  /** @internal */
  constructor(
    /** @internal */
    readonly broker: Broker | undefined,
    protected readonly plain: Plain,
  ) {}

  /** A failed part: nothing that needs it runs (`stop`), or `{error}` stands in place of its result (`continue`). */
  onError(onError: OnError): this {
    return this.with({ onError })
  }

  /** Runs with the error when this fails. */
  errorTask(task: Signature): this {
    return this.with({ errorTask: task.toJSON() })
  }

  /** Sends it; the result is that of the whole. */
  async applyAsync(): Promise<AsyncResult<T>> {
    const id = newId()
    const broker = await this.dispatch({ ...this.plain, id })
    return new AsyncResult<T>(id, broker)
  }

  toJSON(): Plain {
    return this.plain
  }

  protected with(more: Plain): this {
    const same = Object.create(Object.getPrototypeOf(this)) as this
    return Object.assign(same, this, { plain: { ...this.plain, ...more } })
  }

  protected async dispatch(plain: Plain): Promise<Broker> {
    const { broker } = this
    if (!broker) {
      throw new EngineError(
        'INVALID_WORKFLOW',
        'the workflow has no task of an app: it is empty, or its signatures are not made by task.s()',
      )
    }
    await sendSignature(broker, plain)
    return broker
  }
}

/** One task with its arguments. */
export class TaskSignature<T = unknown> extends Signature<T> {
  /** Named arguments. */
  withKwargs(kwargs: Record<string, unknown>): this {
    return this.with({ kwargs: { ...(this.plain.kwargs as object), ...kwargs } })
  }

  /** Options of this one send. */
  set(options: SendOptions): this {
    refuseOwn('a signature; each of its sends has an id of its own', options, 'id')
    const { countdown, kwargs } = options
    const more = {
      ...fieldsOf(options),
      ...(countdown !== undefined && { countdownMs: seconds(countdown, 'countdown') }),
    }
    const changed = this.with({ options: { ...(this.plain.options as object), ...more } })
    return kwargs ? changed.withKwargs(kwargs) : changed
  }
}

/** Work side by side; its result is the list of the results, in order. */
export class GroupSignature<T = unknown> extends Signature<T[]> {
  override async applyAsync(): Promise<GroupResult<T>> {
    const id = newId()
    // Named here, so that each can be asked for.
    const parts = (this.plain.group as Plain[]).map((part): Plain => ({ id: newId(), ...part }))
    const broker = await this.dispatch({ ...this.plain, id, group: parts })
    return new GroupResult<T>(
      id,
      broker,
      parts.map((part) => new AsyncResult<T>(String(part.id), broker)),
    )
  }
}

/** One after the other; each gets the result of the one before as its first argument. */
export function chain<T = unknown>(signatures: readonly Signature[]): Signature<T> {
  return new Signature<T>(brokerOf(signatures), { chain: signatures.map((one) => one.toJSON()) })
}

/** Side by side. */
export function group<T = unknown>(signatures: readonly Signature<T>[]): GroupSignature<T> {
  return new GroupSignature<T>(brokerOf(signatures), { group: signatures.map((one) => one.toJSON()) })
}

/** A group, and what gets the list of its results as its first argument. */
export function chord<T = unknown>(header: readonly Signature[], callback: Signature<T>): Signature<T> {
  const plain = { header: header.map((one) => one.toJSON()), body: callback.toJSON() }
  return new Signature<T>(brokerOf([...header, callback]), { chord: plain })
}

/** What makes signatures of arguments: a task. */
interface Maker<T> {
  s(...args: unknown[]): TaskSignature<T>
}

/** The task once for each item. */
export function map<T>(task: Maker<T>, items: readonly unknown[]): GroupSignature<T> {
  return group(items.map((item) => task.s(item)))
}

/** The task once for each list of arguments. */
export function starmap<T>(task: Maker<T>, lists: readonly (readonly unknown[])[]): GroupSignature<T> {
  return group(lists.map((args) => task.s(...args)))
}

/** The task once for so many items at a time, which it gets as a list. */
export function chunks<T>(task: Maker<T>, items: readonly unknown[], size: number): GroupSignature<T> {
  if (!(Number.isInteger(size) && size > 0)) {
    throw new EngineError('INVALID_OPTION', `the size of chunks is ${size}; it must be a whole number above 0`)
  }
  const starts = Array.from({ length: Math.ceil(items.length / size) }, (_, index) => index * size)
  return group(starts.map((start) => task.s(items.slice(start, start + size))))
}

/** Sends it; its Buffers are kept beside it. Resolves to its id. */
export async function sendSignature(broker: Broker, plain: Plain): Promise<string> {
  let text: string
  try {
    text = toJson(plain, 'workflow')
  } catch (error) {
    const { value, parts } = lendAll(plain)
    if (parts.size === 0) throw error
    text = toJson(value, 'workflow')
    await keep(broker.payloads, parts)
  }
  return broker.sendWorkflow(text)
}

function brokerOf(signatures: readonly Signature[]): Broker | undefined {
  return signatures.find(({ broker }) => broker)?.broker
}
