import { randomUUID } from 'node:crypto'
import { EngineError, toEngineError } from '../../shared/errors'
import type { CallOptions, ServiceClient } from './client'
import type { DecodeOptions } from './codec'
import type { Context, Received, Subscription } from './context'
import {
  CANCEL_GOAL,
  cancelCodes,
  FEEDBACK_QOS,
  fromUuid,
  GOAL_STATUS_ARRAY,
  type GoalEnd,
  type GoalInfo,
  type GoalStatus,
  goalStatuses,
  idOfFeedback,
  isEnd,
  namesOf,
  STATUS_QOS,
  together,
  toUuid,
} from './goals'

export interface ActionOptions extends DecodeOptions {
  /** Told of feedback that cannot be read, and of what `onFeedback` throws. Default: the console is. */
  onError?: (error: EngineError) => void
}

export interface GoalOptions {
  /** Gets what the server says while it works, in order; nothing comes after the result. */
  onFeedback?: (feedback: Record<string, unknown>, goal: ActionGoal) => void
  /** How long to wait for the server and its word that it takes the goal, together. Default 5000. */
  timeoutMs?: number
}

/** What became of a goal that the server took. */
export interface GoalResult {
  status: GoalEnd
  result: Record<string, unknown>
}

const TIMEOUT_MS = 5000
/** Goals may take as long as they want: the longest that a timer can. */
const ENDLESS_MS = 2 ** 31 - 1
/** So long a close waits for the server's word on what is cancelled. */
const CLOSE_MS = 1000
const GOALS_MAX = 1000
/** That another end is there tells nobody: look again. */
const LOOK_MS = 25
/** Before a publisher of another DDS has told a new reader of what it said until now. */
const GREETING_MS = 100

interface Ends {
  goals: ServiceClient
  results: ServiceClient
  cancels: ServiceClient
  status: Subscription
}

/** Sends goals to the server of one action until it is closed. Many may be under way at a time. */
export class ActionClient {
  private readonly open = new Map<string, Followed>()
  private readonly ends: Ends
  private readonly onError: (error: EngineError) => void
  private readonly hear: () => Subscription
  private feedback: Subscription | undefined
  /** The publishers that the subscription of feedback was made for, and when. */
  private greeted = new Set<string | null>()
  private greetedAt = 0
  private closed = false

  /** @internal */
  constructor(
    private readonly context: Context,
    readonly action: string,
    type: string,
    { onError = (error) => console.error(error), ...decode }: ActionOptions = {},
  ) {
    context.definitions.resolveAction(type)
    this.onError = onError
    const names = namesOf(action)
    this.hear = () => {
      const options = { ...decode, qos: FEEDBACK_QOS }
      const hear = (received: Received) => this.hearFeedback(received)
      return context.subscribe(names.feedback, `${type}_FeedbackMessage`, hear, options)
    }
    const look = (received: Received) => this.hearStatus(received)
    this.ends = together((keep) => ({
      status: keep(context.subscribe(names.status, GOAL_STATUS_ARRAY, look, { qos: STATUS_QOS })),
      results: keep(context.client(names.getResult, `${type}_GetResult`, decode)),
      cancels: keep(context.client(names.cancelGoal, CANCEL_GOAL)),
      goals: keep(context.client(names.sendGoal, `${type}_SendGoal`)),
    }))
  }

  /** Goals that have no result yet, the oldest first. */
  get active(): ActionGoal[] {
    return [...this.open.values()]
  }

  /** Whether a server is there, now. */
  isReady(): boolean {
    const { goals, results, cancels } = this.ends
    return goals.isReady() && results.isReady() && cancels.isReady()
  }

  /** Ends when a server is there. */
  async ready({ timeoutMs = TIMEOUT_MS, ...options }: CallOptions = {}): Promise<void> {
    const end = performance.now() + timeoutMs
    const { goals, results, cancels } = this.ends
    await Promise.all([goals, results, cancels].map((client) => client.ready({ timeoutMs, ...options })))
    while (!this.hasGreeted() && !options.signal?.aborted) {
      if (performance.now() > end) {
        const problem = `nobody offered the feedback of ${this.action} within ${timeoutMs} ms`
        throw new EngineError('TRANSPORT', `${problem}; start its server`)
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    if (options.signal?.aborted) throw new EngineError('CLOSED', `the wait for ${this.action} was given up`)
  }

  /**
   * Ends when the server took the goal, an object; fields that are missing get their defaults. Fails with `REFUSED`
   * when it did not, with `TRANSPORT` when no server is there in time, with `REVOKED` when it was cancelled before it
   * was sent, and with `TIMEOUT` when the server does not answer; then it may have taken the goal all the same.
   */
  async sendGoal(goal: unknown, { onFeedback, timeoutMs = TIMEOUT_MS }: GoalOptions = {}): Promise<ActionGoal> {
    const { goals, results } = this.ends
    if (this.closed) throw closed(this.action)
    if (this.open.size >= GOALS_MAX) {
      throw new EngineError('BUFFER_FULL', `${GOALS_MAX} goals of ${this.action} have no result yet; send fewer`)
    }
    const end = performance.now() + timeoutMs
    const followed = new Followed(this, onFeedback)
    const request = goals.encode({ goal_id: toUuid(followed.id), goal })
    // Feedback may come before the word that it is taken.
    this.open.set(followed.id, followed)
    try {
      await this.ready({ timeoutMs, signal: followed.signal })
      const answer = goals.call(request, { timeoutMs: Math.max(1, end - performance.now()) })
      followed.sent(answer)
      const { accepted } = await answer
      if (!accepted) throw new EngineError('REFUSED', `the server of ${this.action} does not take this goal`)
      if (followed.status === 'unknown') followed.status = 'accepted'
      followed.follow(results.call({ goal_id: toUuid(followed.id) }, { timeoutMs: ENDLESS_MS }))
      return followed
    } catch (error) {
      this.open.delete(followed.id)
      if (!followed.signal.aborted) throw error
      throw new EngineError('REVOKED', `a goal of ${this.action} was cancelled before it was sent`)
    }
  }

  /** Goals that are under way go on, and their results come to nobody; `cancel` asks the server to cancel them. */
  async close({ cancel = false }: { cancel?: boolean } = {}): Promise<void> {
    const { goals, results, cancels, status } = this.ends
    const left = cancel && !this.closed ? [...this.open.values()].filter(({ isSent }) => isSent) : []
    this.closed = true
    this.open.clear()
    // What is awaited fails now; the wish to cancel leaves at once.
    const closings = [goals, results, status, this.feedback].map((end) => end?.close())
    const isThere = () => {
      try {
        return cancels.isReady()
      } catch {
        return false
      }
    }
    if (left.length > 0 && isThere()) {
      // Who does not answer is left alone.
      await Promise.all(left.map(({ id }) => this.cancel(id, { timeoutMs: CLOSE_MS }).catch(() => false)))
    }
    await Promise.all([...closings, cancels.close()])
  }

  /** @internal */
  async cancel(id: string, options: CallOptions): Promise<boolean> {
    const request = { goal_info: { goal_id: toUuid(id) } }
    const { return_code: code, goals_canceling: canceling } = await this.ends.cancels.call(request, options)
    if ((canceling as GoalInfo[]).some((info) => fromUuid(info.goal_id.uuid) === id)) return true
    if (code === cancelCodes.unknown || code === cancelCodes.over) return false
    throw new EngineError('REFUSED', `the server of ${this.action} does not cancel goal ${id}`)
  }

  /** @internal */
  ended(id: string): void {
    // What was said before the result comes before it.
    this.feedback?.drain()
    this.open.delete(id)
  }

  /**
   * A publisher of another DDS tells a reader that is new to it what it said until then. Ours hears that only from
   * publishers that it knows, and without it drops the next message, the first feedback. So, once such a publisher is
   * there, it gets a new reader.
   */
  private hasGreeted(): boolean {
    if (this.closed) throw closed(this.action)
    const { feedback } = namesOf(this.action)
    const publishers = this.context.graph().publishers.filter(({ topic }) => topic === feedback)
    if (publishers.some(({ gid }) => !this.greeted.has(gid))) {
      const before = this.feedback
      before?.drain()
      this.feedback = this.hear()
      before?.close().catch((error) => this.onError(toEngineError(error)))
      this.greeted = new Set(publishers.map(({ gid }) => gid))
      this.greetedAt = performance.now()
    }
    return publishers.length > 0 && performance.now() - this.greetedAt >= GREETING_MS
  }

  /** Nothing may leave here as an exception: it would end the process. */
  private hearFeedback(received: Received): void {
    const goal = this.open.get(idOfFeedback(received.cdr))
    if (!goal?.onFeedback) return
    try {
      goal.onFeedback(received.message.feedback as Record<string, unknown>, goal)
    } catch (error) {
      this.onError(toEngineError(error))
    }
  }

  private hearStatus(received: Received): void {
    try {
      const { status_list: list } = received.message as { status_list: { goal_info: GoalInfo; status: number }[] }
      for (const { goal_info: info, status } of list) {
        const goal = this.open.get(fromUuid(info.goal_id.uuid))
        if (goal) goal.status = goalStatuses[status] ?? 'unknown'
      }
    } catch (error) {
      this.onError(toEngineError(error))
    }
  }
}

/** A goal that was sent. */
export interface ActionGoal {
  readonly id: string
  /** What the server last said of it. */
  readonly status: GoalStatus
  /**
   * What became of it, however long that takes. That it was aborted or canceled is no failure. Fails with `TRANSPORT`
   * when the server leaves, with `NOT_FOUND` when it does not know the goal any more, and with `CLOSED`.
   */
  result(): Promise<GoalResult>
  /**
   * Asks the server to cancel it. True: it will, and the result says whether it did; false: the goal is over already.
   * Fails with `REFUSED` when the server does not want to.
   */
  cancel(options?: CallOptions): Promise<boolean>
}

class Followed implements ActionGoal {
  readonly id = randomUUID()
  status: GoalStatus = 'unknown'
  private readonly control = new AbortController()
  /** What the server says to it. */
  private word: Promise<unknown> | undefined
  private outcome: Promise<GoalResult> | undefined

  constructor(
    private readonly client: ActionClient,
    readonly onFeedback: GoalOptions['onFeedback'],
  ) {}

  /** Aborted when it shall not be sent any more. */
  get signal(): AbortSignal {
    return this.control.signal
  }

  get isSent(): boolean {
    return this.word !== undefined
  }

  sent(word: Promise<unknown>): void {
    this.word = word
  }

  follow(answer: Promise<Record<string, unknown>>): void {
    this.outcome = this.settle(answer)
    // Who does not ask for the result does not want to know that there is none.
    this.outcome.catch(() => {})
  }

  result(): Promise<GoalResult> {
    return this.outcome ?? Promise.reject(new EngineError('REFUSED', `goal ${this.id} was not taken`))
  }

  async cancel(options: CallOptions = {}): Promise<boolean> {
    if (!this.word) {
      this.control.abort()
      return true
    }
    // A server does not cancel what it has not taken yet.
    await this.word.catch(() => {})
    return this.client.cancel(this.id, options)
  }

  private async settle(answer: Promise<Record<string, unknown>>): Promise<GoalResult> {
    try {
      const { status, result } = await answer
      this.status = goalStatuses[status as number] ?? 'unknown'
      if (isEnd(this.status)) return { status: this.status, result: result as Record<string, unknown> }
      const problem = `the server of ${this.client.action} does not know goal ${this.id}`
      throw new EngineError('NOT_FOUND', `${problem}; it was started anew, or kept no results`)
    } finally {
      this.client.ended(this.id)
    }
  }
}

function closed(action: string): EngineError {
  return new EngineError('CLOSED', `the client of ${action} is closed; open it again`)
}
