/** One that takes tasks: asks for as many as it has room for, whenever there may be some. */
import { randomUUID } from 'node:crypto'
import { EngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { within } from './batch'
import type { Failed, Report, Taker, TakerEars, TakerOptions } from './broker'
import { tooLarge } from './steps'

/** What a taker needs of its broker. */
export interface Desk {
  readonly instance: string
  readonly maxPayloadBytes: number
  step(op: string, ...args: (string | number)[]): Promise<unknown>
  report(line: Line): Promise<number>
  /** The lanes that there are: queue and name. */
  lanes(): readonly string[]
  /** Reads them anew. */
  findLanes(): Promise<void>
  leave(taker: RemoteTaker): void
}

/** A report: kind, id, token, payload, and what the kind needs more. */
export type Line = [kind: string, id: string, token: string, payload: string, more: string]

interface Held {
  id: string
  retries: number
  text: string
}

const LANE = '\x1f'
/** Before the message of one that was handed out before: its retries and deliveries. */
const AGAIN = /^(\d+) (\d+) /
const CANCELLED = 2
const PARTS = 2
/** So long it waits for Redis at its end; without it, its leases run out. */
const FAREWELL_MS = 1500

export class RemoteTaker implements Taker {
  readonly id = randomUUID()
  private readonly held = new Map<number, Held>()
  private readonly taking = new Set<Promise<void>>()
  /** What those bring at most. */
  private asked = 0
  private again = false
  private due = false
  private stopped = false
  private passed = JSON.stringify(Array(10).fill(0))
  private fitting: { of: readonly string[]; lanes: string[] } = { of: [], lanes: [] }
  private timer: NodeJS.Timeout | undefined

  constructor(
    private readonly desk: Desk,
    private readonly options: TakerOptions,
    private readonly ears: TakerEars,
  ) {}

  async open(): Promise<void> {
    engine(() => native().checkWorker(JSON.stringify(this.options)))
    await this.enter()
    this.pull()
  }

  /** Makes it known to Redis, again where that was not heard of it for long, or lost all. */
  async enter(): Promise<void> {
    if (this.stopped) return
    const { rate } = this.options
    const info = JSON.stringify(this.options)
    await this.desk.step('open', this.id, this.desk.instance, info, rate ? JSON.stringify(rate) : '')
  }

  /** Takes what it has room for, in two parts: while one is done here, Redis is at the other. */
  pull(): void {
    if (this.taking.size >= PARTS) {
      this.again = true
      return
    }
    const { prefetch } = this.options
    const room = Math.min(Math.ceil(prefetch / PARTS), prefetch - this.held.size - this.asked)
    if (this.stopped || room <= 0) return
    this.again = false
    this.asked += room
    const taking = this.take(room)
      .catch(() => {
        // What Redis refuses now, the next round asks again.
      })
      .finally(() => {
        this.taking.delete(taking)
        if (this.again) this.pull()
      })
    this.taking.add(taking)
  }

  /** Redis has nothing for it that it does not know; what its answers lost goes back. */
  known(token: number): boolean {
    return this.held.has(token)
  }

  cancel(token: number): void {
    if (this.held.has(token)) this.ears.cancel(token)
  }

  lost(token: number): void {
    if (!this.held.delete(token)) return
    this.ears.lost(token)
    this.pull()
  }

  async report(report: Report, token: number, payload = ''): Promise<boolean> {
    const held = this.held.get(token)
    if (!held) return false
    const keeps = report === 'started' || report === 'progress' || report === 'heartbeat'
    let reported: Promise<number>
    try {
      reported = this.desk.report(this.line(report, token, held, payload))
    } finally {
      if (!keeps) {
        this.held.delete(token)
        this.pullSoon()
      }
    }
    const answer = await reported
    if (keeps && answer === CANCELLED) this.ears.cancel(token)
    else if (keeps && answer === 0 && this.held.delete(token)) {
      this.ears.lost(token)
      this.pull()
    }
    return answer !== 0
  }

  tell(report: Report, token: number, payload?: string): void {
    this.report(report, token, payload).catch((error) => this.ears.failed(error))
  }

  async drain(): Promise<void> {
    this.stopped = true
    clearTimeout(this.timer)
    await within(FAREWELL_MS, Promise.all([this.desk.step('drain', this.id), ...this.taking]))
  }

  async close(): Promise<void> {
    this.stopped = true
    clearTimeout(this.timer)
    // What it still has goes back, and counts as nothing.
    const back = Promise.all([...this.held.keys()].map((token) => this.report('give-back', token)))
    await within(FAREWELL_MS, Promise.all([back, this.desk.step('close', this.id)]))
    this.desk.leave(this)
  }

  /** Behind the reports of this turn. */
  private pullSoon(): void {
    if (this.due) return
    this.due = true
    setImmediate(() => {
      this.due = false
      this.pull()
    })
  }

  private async take(room: number): Promise<void> {
    const { name, leaseMs } = this.options
    const lanes = this.wanted()
    let answer: unknown
    try {
      answer = await this.desk.step('take', this.id, name, leaseMs, room, this.passed, ...lanes)
    } finally {
      this.asked -= room
    }
    const [due, count, passed, first, tasks] = answer as [string, number, string, number, (string | number)[]]
    this.passed = passed
    clearTimeout(this.timer)
    if (due !== '' && !this.stopped) this.timer = setTimeout(() => this.pull(), Number(due)).unref()
    let [token, queue] = [first, '']
    for (const task of tasks) {
      // The place of the lane of those that follow.
      if (typeof task === 'number') queue = queueOf(lanes[task])
      else this.hand(token++, queue, task)
    }
    if (token - first === room) this.again = true
    if (count > this.desk.lanes().length) {
      await this.desk.findLanes()
      this.again = true
    }
  }

  private hand(token: number, queue: string, task: string): void {
    const [before = '', retries = 0, deliveries = 1] = AGAIN.exec(task) ?? []
    const text = before ? task.slice(before.length) : task
    const message = JSON.parse(text)
    this.held.set(token, { id: String(message.id).toLowerCase(), retries: Number(retries), text })
    this.ears.task({ token, queue, retries: Number(retries), deliveries: Number(deliveries), message })
  }

  private wanted(): string[] {
    const all = this.desk.lanes()
    if (this.fitting.of !== all) {
      const { queues, tasks } = this.options
      const fits = (patterns: readonly string[], name: string) =>
        patterns.length === 0 || patterns.some((pattern) => native().fitsPattern(pattern, name))
      const lanes = all.filter((lane) => {
        const [queue = '', name = ''] = lane.split(LANE)
        return fits(queues, queue) && fits(tasks, name)
      })
      this.fitting = { of: all, lanes }
    }
    return this.fitting.lanes
  }

  private line(report: Report, token: number, { id, retries, text }: Held, payload: string): Line {
    const name = String(token)
    switch (report) {
      case 'done': {
        const bytes = Buffer.byteLength(payload)
        if (bytes <= this.desk.maxPayloadBytes) return ['done', id, name, payload || 'null', this.options.name]
        const { code, message } = tooLarge('the result', bytes, this.desk.maxPayloadBytes)
        return failed(id, name, text, retries, { type: 'EngineError', message, code })
      }
      case 'failed':
        return failed(id, name, text, retries, failureIn(payload))
      case 'retry': {
        const { delayMs, error } = JSON.parse(payload || '{}')
        return failed(id, name, text, retries, error, typeof delayMs === 'number' ? delayMs : Number.NaN)
      }
      default:
        return [report, id, name, payload, '']
    }
  }
}

function queueOf(lane = ''): string {
  return lane.slice(0, lane.indexOf(LANE))
}

function failureIn(payload: string): Failed {
  try {
    return JSON.parse(payload)
  } catch {
    return { type: 'Error', message: payload }
  }
}

/** A failed attempt, with what the policy of its message makes of it. */
export function failed(
  id: string,
  token: string,
  text: string,
  retries: number,
  failure: Partial<Failed> | undefined,
  askedMs?: number,
): Line {
  const { final, ...told } = failure ?? {}
  const error = { type: 'Error', message: '', ...told }
  const verdict = engine(() => native().judgeFailure(text, JSON.stringify({ ...error, final }), retries, askedMs))
  const [, wait] = verdict.split(' ')
  const recorded = JSON.stringify(error)
  return wait === undefined ? ['end', id, token, recorded, verdict] : ['again', id, token, recorded, wait]
}

export function isClosed(error: unknown): boolean {
  return error instanceof EngineError && error.code === 'CLOSED'
}
