/**
 * What the library needs of a broker. It is one interface and not a broker beside a result backend: what a worker
 * reports ends the task, records its result and sends what follows it, which has to be one step. Who keeps these in
 * two servers joins them behind this interface.
 */

import type { Payloads } from './payloads'

/** The states of a task; `null` is that of an id that nobody knows. */
export type State =
  | 'pending'
  | 'scheduled'
  | 'received'
  | 'started'
  | 'retry'
  | 'success'
  | 'failure'
  | 'revoked'
  | 'expired'
  | 'dead'

/** Why a task failed, as it is recorded. */
export interface Failure {
  type: string
  message: string
  code?: string
  traceback?: string
}

/** The same as a worker tells it. */
export interface Failed extends Failure {
  /** Another attempt finds the same, whatever the policy says. */
  final?: boolean
}

export interface Attempt {
  startedAt: number
  endedAt: number
  workerId: string
  error: Failure
}

/** What is recorded of a task or a workflow; of one that still runs only a part. */
export interface TaskInfo {
  id: string
  state: State | null
  name?: string
  queue?: string
  rootId?: string | null
  result?: unknown
  error?: (Failure & { taskId?: string; taskName?: string }) | null
  createdAt?: number
  startedAt?: number | null
  completedAt?: number | null
  runtimeMs?: number | null
  retries?: number
  workerId?: string | null
  progress?: unknown
  attempts?: Attempt[]
  /** Of a dead task in a list: when it died; `result` has its whole record. */
  diedAt?: number
  /** Of a task that is not finished, or dead in a list: all that was sent. */
  message?: Record<string, unknown>
  /** Of a workflow. */
  workflow?: { total: number; completed: number; failed: number; createdAt: number; cancelled: boolean }
}

/** So many at once, refilled by so many a second. */
export interface Rate {
  perSecond: number
  burst: number
}

export interface TakerOptions {
  /** As it appears in results and lists. */
  name: string
  /** Names or patterns with `*` and `?`; none: all. */
  queues: readonly string[]
  tasks: readonly string[]
  /** So many tasks are handed out to it at once. */
  prefetch: number
  /** A task of which nothing was heard so long goes to another. */
  leaseMs: number
  /** How many begin in a second. */
  rate?: Rate
}

/** A task that was handed out. */
export interface Taken {
  /** Names it in reports. */
  token: number
  queue: string
  retries: number
  deliveries: number
  message: Record<string, unknown>
}

/** Who takes tasks hears these. */
export interface TakerEars {
  task(taken: Taken): void
  /** The task was revoked: stop it. */
  cancel(token: number): void
  /** Its time is over; it went to another, or ended. */
  lost(token: number): void
  /** All that it has went back: the broker begins anew. */
  gone(): void
  /** What was told could not be said. */
  failed(error: unknown): void
}

export type Report = 'started' | 'done' | 'failed' | 'retry' | 'progress' | 'heartbeat' | 'give-back' | 'revoked'

/** One that takes tasks. */
export interface Taker {
  /** `payload` is JSON. Resolves when it is recorded: false where it came too late. */
  report(report: Report, token: number, payload?: string): Promise<boolean>
  /** The same for who does not ask how it ended, which most do not; that it failed is heard by `failed`. */
  tell(report: Report, token: number, payload?: string): void
  /** Takes no more. */
  drain(): Promise<void>
  /** Gives back what it still has. */
  close(): Promise<void>
}

/** A page of a list has so many tasks, and at most so many. */
export const DEFAULT_LIMIT = 100
export const MOST = 1000

/** A command to the broker, by its `op`. */
export type Command = { op: string } & Record<string, unknown>

export interface TaskEvent {
  event: string
  /** Milliseconds since the epoch. */
  at: number
  id?: string
  name?: string
  queue?: string
  state?: State
  retries?: number
  worker?: string
  [more: string]: unknown
}

export interface Broker {
  /** Where Buffers of arguments are. */
  readonly payloads: Payloads
  /** The largest message. */
  readonly maxPayloadBytes: number
  /** Sends a task message. Resolves, when it is safe, to `''`, or to the id of the task that it repeats. */
  send(message: string): Promise<string>
  /**
   * Sends many that have in common all but their ids and a few fields of their own; none where one of them is wrong.
   * Resolves, when they are safe, to what `send` does, of each in order.
   */
  sendAll(common: string, ids: readonly string[], own: readonly string[]): Promise<string[]>
  /** Sends a workflow; resolves to its id. */
  sendWorkflow(signature: string): Promise<string>
  take(options: TakerOptions, ears: TakerEars): Promise<Taker>
  control<T>(command: Command): Promise<T>
  /** Calls `told` with the result as soon as there is one. Returns what ends the wait. */
  watch(id: string, told: (info: TaskInfo) => void, failed: (error: Error) => void): () => void
  /** Calls `hear` with each event. Returns what ends it. */
  events(hear: (event: TaskEvent) => void): () => void
  close(): Promise<void>
}
