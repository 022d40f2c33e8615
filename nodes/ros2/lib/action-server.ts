import { type EngineError, toEngineError } from '../../shared/errors'
import type { DecodeOptions } from './codec'
import type { Context, Publisher } from './context'
import {
  CANCEL_GOAL,
  cancelCodes,
  FEEDBACK_QOS,
  fromUuid,
  GOAL_STATUS_ARRAY,
  type GoalInfo,
  type GoalStatus,
  goalStatuses,
  isEnd,
  namesOf,
  STATUS_QOS,
  together,
  toUuid,
} from './goals'
import type { Handler, ServiceServer } from './server'
import { timeOfNs } from './stamp'

/** A goal in work. */
export interface GoalRun {
  readonly id: string
  /** Aborted when the goal is to be cancelled, and when the server closes. */
  readonly signal: AbortSignal
  /** Tells the client how far it is. */
  feedback(feedback: unknown): void
  /** What the handler gives back is the result of a goal that could not be reached. */
  abort(): void
}

/**
 * Does what a goal wants. What it gives back, or resolves to, is the result of a goal that succeeded; of one that was
 * canceled where `signal` was aborted meanwhile. A goal whose handler throws is aborted.
 */
export type GoalHandler = (goal: Record<string, unknown>, run: GoalRun) => unknown

export interface ServeActionOptions extends DecodeOptions {
  /** Whether to take a goal. Default: all are taken. */
  accept?: (goal: Record<string, unknown>) => boolean | Promise<boolean>
  /** Whether a goal may be cancelled. Default: all may. */
  allowCancel?: (id: string) => boolean
  /** Told of what went wrong. Default: the console is. */
  onError?: (error: EngineError) => void
}

/** So long a result is kept for who asks for it. */
const KEEP_MS = 10_000
const NOTHING = Promise.resolve(Buffer.alloc(0))
/** So many goals are known at most, in work or kept. */
const GOALS_MAX = 1000

interface Run {
  id: string
  stampNs: bigint
  status: GoalStatus
  control: AbortController
  isAborted: boolean
  /** What who asks for the result is answered. */
  answer: Promise<Buffer>
  expiry?: NodeJS.Timeout
}

interface Ends {
  goals: ServiceServer
  results: ServiceServer
  cancels: ServiceServer
  feedback: Publisher
  status: Publisher
}

/** Offers one action until it is closed. */
export class ActionServer {
  private readonly runs = new Map<string, Run>()
  private readonly ends: Ends
  private readonly onError: (error: EngineError) => void
  private telling = false
  private closed = false

  /** @internal */
  constructor(
    context: Context,
    readonly action: string,
    type: string,
    private readonly handler: GoalHandler,
    private readonly options: ServeActionOptions = {},
  ) {
    const { onError = (error) => console.error(error), int64, arrays } = options
    context.definitions.resolveAction(type)
    this.onError = onError
    const names = namesOf(action)
    const decode = { ...(int64 && { int64 }), ...(arrays && { arrays }) }
    const getResult: Handler = ({ goal_id }) => this.resultOf(goal_id)
    const cancelGoal: Handler = ({ goal_info }) => this.cancel(goal_info as GoalInfo)
    const sendGoal: Handler = (request) => this.take(request)
    this.ends = together((keep) => ({
      feedback: keep(context.publish(names.feedback, `${type}_FeedbackMessage`, FEEDBACK_QOS)),
      status: keep(context.publish(names.status, GOAL_STATUS_ARRAY, STATUS_QOS)),
      results: keep(context.serve(names.getResult, `${type}_GetResult`, getResult, { onError })),
      cancels: keep(context.serve(names.cancelGoal, CANCEL_GOAL, cancelGoal, { onError })),
      goals: keep(context.serve(names.sendGoal, `${type}_SendGoal`, sendGoal, { ...decode, onError })),
    }))
  }

  /** The ids of the goals in work. */
  get active(): string[] {
    return [...this.runs.values()].filter(({ status }) => !isEnd(status)).map(({ id }) => id)
  }

  /** Throws where a result does not fit. */
  checkResult(result: unknown): void {
    this.ends.results.encode({ result })
  }

  /** How many clients are there that this transport cannot answer. */
  deaf(): number {
    return this.ends.goals.deaf()
  }

  /** Goals in work are told by their `signal`; their clients get no result. */
  async close(): Promise<void> {
    this.closed = true
    for (const { control, expiry } of this.runs.values()) {
      clearTimeout(expiry)
      control.abort()
    }
    this.runs.clear()
    await Promise.all(Object.values(this.ends).map((end) => end.close()))
  }

  private async take({ goal_id, goal }: Record<string, unknown>): Promise<object> {
    const id = fromUuid((goal_id as GoalInfo['goal_id']).uuid)
    const { accept } = this.options
    const isTaken = !accept || (await accept(goal as Record<string, unknown>))
    if (!isTaken || this.closed || this.runs.has(id) || !this.makeRoom()) return { accepted: false }
    const stampNs = BigInt(Date.now()) * 1_000_000n
    const control = new AbortController()
    const run: Run = { id, stampNs, status: 'accepted', control, isAborted: false, answer: NOTHING }
    this.runs.set(id, run)
    // The client is answered before it hears of what is done.
    const begin = new Promise<void>((resolve) => setImmediate(resolve))
    run.answer = begin.then(() => this.work(run, goal as Record<string, unknown>))
    return { accepted: true, stamp: timeOfNs(stampNs) }
  }

  /** False where all goals that are known are in work. */
  private makeRoom(): boolean {
    if (this.runs.size < GOALS_MAX) return true
    const over = [...this.runs.values()].find(({ status }) => isEnd(status))
    if (over) this.forget(over)
    return over !== undefined
  }

  private async work(run: Run, goal: Record<string, unknown>): Promise<Buffer> {
    const { signal } = run.control
    const own: GoalRun = {
      id: run.id,
      signal,
      feedback: (feedback) => this.tell(run, feedback),
      abort: () => {
        run.isAborted = true
      },
    }
    let answer: Buffer
    try {
      this.move(run, 'executing')
      const result = await this.handler(goal, own)
      const status = run.isAborted ? 'aborted' : signal.aborted ? 'canceled' : 'succeeded'
      answer = this.ends.results.encode({ status: goalStatuses.indexOf(status), result })
      this.move(run, status)
    } catch (error) {
      const status = signal.aborted ? 'canceled' : 'aborted'
      if (status === 'aborted') this.onError(toEngineError(error))
      answer = this.ends.results.encode({ status: goalStatuses.indexOf(status) })
      this.move(run, status)
    }
    if (!this.closed) run.expiry = setTimeout(() => this.forget(run), KEEP_MS).unref()
    return answer
  }

  private forget(run: Run): void {
    clearTimeout(run.expiry)
    this.runs.delete(run.id)
  }

  private tell(run: Run, feedback: unknown): void {
    if (this.closed || isEnd(run.status)) return
    this.ends.feedback.send({ goal_id: toUuid(run.id), feedback })
  }

  private move(run: Run, status: GoalStatus): void {
    run.status = status
    // All that moves in one turn is told at once: the list has all goals.
    if (this.telling) return
    this.telling = true
    setImmediate(() => this.tellStatus())
  }

  /** What this throws would be lost. */
  private tellStatus(): void {
    this.telling = false
    if (this.closed) return
    try {
      this.ends.status.send({
        status_list: [...this.runs.values()].map((one) => {
          return { goal_info: infoOf(one), status: goalStatuses.indexOf(one.status) }
        }),
      })
    } catch (error) {
      this.onError(toEngineError(error))
    }
  }

  private resultOf(id: unknown): unknown {
    const run = this.runs.get(fromUuid((id as GoalInfo['goal_id']).uuid))
    // Without fields: the status of what is not known.
    return run ? run.answer : {}
  }

  /** No id and no time: all; a time: those taken until then; an id: that one, too. */
  private cancel({ goal_id, stamp }: GoalInfo): object {
    const id = fromUuid(goal_id.uuid)
    const named = goal_id.uuid.some((byte) => byte !== 0)
    const until = nsOf(stamp)
    const isMeant = (run: Run) => (named && run.id === id) || (until > 0n ? run.stampNs <= until : !named)
    if (named && until === 0n) {
      const status = this.runs.get(id)?.status
      if (!status) return { return_code: cancelCodes.unknown }
      if (isEnd(status)) return { return_code: cancelCodes.over }
    }
    const { allowCancel = () => true } = this.options
    const meant = [...this.runs.values()].filter((run) => !isEnd(run.status) && isMeant(run))
    const canceling = meant.filter((run) => run.status === 'canceling' || allowCancel(run.id))
    for (const run of canceling) {
      this.move(run, 'canceling')
      run.control.abort()
    }
    const isRefused = meant.length > 0 && canceling.length === 0
    return { return_code: isRefused ? cancelCodes.refused : cancelCodes.none, goals_canceling: canceling.map(infoOf) }
  }
}

function infoOf({ id, stampNs }: Run) {
  return { goal_id: toUuid(id), stamp: timeOfNs(stampNs) }
}

function nsOf({ sec, nanosec }: GoalInfo['stamp']): bigint {
  return BigInt(sec) * 1_000_000_000n + BigInt(nanosec)
}
