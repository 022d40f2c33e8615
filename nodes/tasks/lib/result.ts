import { EngineError, type ErrorCode, quote } from '../../shared/errors'
import type { Broker, State, TaskInfo } from './broker'

const FINAL: readonly (State | null)[] = ['success', 'failure', 'revoked', 'expired', 'dead']

/** Whether a task of this state has ended, well or not. */
export function isFinal(state: State | null): boolean {
  return FINAL.includes(state)
}

/** Codes of failures that are the queue's own; the others are those of the work. */
const OWN: readonly string[] = ['REVOKED', 'EXPIRED', 'TIMEOUT', 'WORKER_LOST', 'TOO_LARGE', 'NOT_FOUND']

/** A task that did not end well. `code` is `TASK_FAILED`, or the queue's own reason. */
export class TaskFailed extends EngineError {
  /** The type of the error that the worker threw. */
  readonly type: string

  /** @internal */
  constructor(readonly info: TaskInfo) {
    const { type = 'Error', message = 'it failed', code = '' } = info.error ?? {}
    const own = OWN.includes(code) ? (code as ErrorCode) : 'TASK_FAILED'
    super(own, `task ${info.name ? `${info.name} ` : ''}${info.id}: ${message}`, { cause: info.error })
    this.name = 'TaskFailed'
    this.type = type
  }
}

/** A timer holds no more; that is 24 days. */
export const LONGEST_MS = 2 ** 31 - 1

export interface GetOptions {
  /** None: without end. */
  timeoutMs?: number
}

/** The future result of a task or a workflow. */
export class AsyncResult<T = unknown> {
  readonly id: string

  /** @internal */
  constructor(
    id: string,
    protected readonly broker: Broker,
  ) {
    // As brokers have it.
    this.id = id.toLowerCase()
  }

  /** Its value, as soon as it is there. Fails with `TaskFailed` where it did not end well, with `TIMEOUT` after a time. */
  async get(options: GetOptions = {}): Promise<T> {
    const info = await this.wait(options)
    if (info.state !== 'success') throw new TaskFailed(info)
    return info.result as T
  }

  /** What is recorded of it, as soon as it has ended, well or not. */
  async wait({ timeoutMs }: GetOptions = {}): Promise<TaskInfo> {
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      throw new EngineError('INVALID_OPTION', `timeoutMs is ${quote(timeoutMs)}; it must be milliseconds, 0 or more`)
    }
    return new Promise((resolve, reject) => {
      const settle =
        <V>(call: (value: V) => void) =>
        (value: V) => {
          clearTimeout(timer)
          call(value)
        }
      const stop = this.broker.watch(this.id, settle(resolve), settle(reject))
      const timer =
        timeoutMs === undefined || timeoutMs > LONGEST_MS
          ? undefined
          : setTimeout(() => {
              stop()
              const text = `task ${this.id} did not end within ${timeoutMs} ms; it goes on, wait for it again`
              reject(new EngineError('TIMEOUT', text))
            }, timeoutMs)
    })
  }

  /** Whether it has ended, well or not. */
  async ready(): Promise<boolean> {
    return isFinal(await this.state())
  }

  /** Null: nobody knows it, or not any more. */
  async state(): Promise<State | null> {
    return (await this.info()).state
  }

  /** What is known of it now. */
  async info(): Promise<TaskInfo> {
    const info = await this.broker.control<TaskInfo>({ op: 'workflow', id: this.id })
    // A workflow that runs has no state of its own.
    return 'state' in info ? info : { ...(info as object), id: this.id, state: 'started' }
  }

  /** Calls it off: at once what waits, by a signal what runs. `refuseLate`: what that still reports is refused. */
  revoke({ refuseLate = false } = {}): Promise<{ revoked: number; signalled: number }> {
    return this.broker.control({ op: 'revoke', id: this.id, refuseLate })
  }
}

/** The future results of a group, in order. */
export class GroupResult<T = unknown> extends AsyncResult<T[]> {
  /** @internal */
  constructor(
    id: string,
    broker: Broker,
    readonly results: readonly AsyncResult<T>[],
  ) {
    super(id, broker)
  }

  /** How many parts have ended, well or not. */
  async completed(): Promise<number> {
    return (await this.states()).filter(isFinal).length
  }

  /** Whether all parts have ended well. */
  async successful(): Promise<boolean> {
    return (await this.states()).every((state) => state === 'success')
  }

  /** Whether a part has not ended well. */
  async failed(): Promise<boolean> {
    return (await this.states()).some((state) => state !== 'success' && isFinal(state))
  }

  private states(): Promise<(State | null)[]> {
    return Promise.all(this.results.map((result) => result.state()))
  }
}
