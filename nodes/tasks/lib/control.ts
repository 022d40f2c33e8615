import { checked } from '../../shared/json'
import { checkObject } from '../../shared/options'
import type { Broker, Command, Rate, State, TaskInfo } from './broker'
import { refuseOwn } from './message'

export interface Filter {
  /** None: all that are not finished. */
  state?: State
  queue?: string
  name?: string
  /** The id of a workflow. */
  workflow?: string
  /** Default 100. */
  limit?: number
  /** The `next` of the page before. */
  after?: string
}

/** These; none: all of the queue, or all. */
export interface WhichDead {
  ids?: readonly string[]
  queue?: string
}

export type Schedule = { everyMs: number } | { cron: string; tz?: string }

export interface QueueInfo {
  name: string
  paused: boolean
  limit: number | null
  rate: Rate | null
  pending: number
  scheduled: number
  retry: number
  running: number
  dead: number
  oldestAgeMs: number | null
  finished: number
  perSecond: number
}

export interface WorkerInfo {
  name: string
  queues: string[]
  tasks: string[]
  prefetch: number
  running: number
  finished: number
  draining: boolean
  upMs: number
}

/** What people ask a queue, and tell it. */
export class Control {
  /** @internal */
  constructor(private readonly broker: Broker) {}

  /** A task, or all of a workflow that has not run. `refuseLate`: what a running one still reports is refused. */
  revoke(id: string, { refuseLate = false } = {}): Promise<{ revoked: number; signalled: number }> {
    return this.broker.control({ op: 'revoke', id, refuseLate })
  }

  /** One task with its history, or its result; of a workflow, how far it is. */
  inspect(id: string): Promise<TaskInfo & Record<string, unknown>> {
    return this.broker.control({ op: 'workflow', id })
  }

  list(filter: Filter = {}): Promise<{ tasks: TaskInfo[]; next: string | null }> {
    return this.broker.control(commandOf('list', filter))
  }

  /** Tasks that are not finished, and dead ones, by state. */
  count(filter: Filter = {}): Promise<Record<string, number>> {
    return this.broker.control(commandOf('count', filter))
  }

  queues(): Promise<QueueInfo[]> {
    return this.broker.control({ op: 'queues' })
  }

  workers(): Promise<WorkerInfo[]> {
    return this.broker.control({ op: 'workers' })
  }

  stats(): Promise<Record<string, number>> {
    return this.broker.control({ op: 'stats' })
  }

  /** Revokes all that waits in a queue. */
  purge(queue: string): Promise<{ purged: number }> {
    return this.broker.control({ op: 'purge', queue })
  }

  async pause(queue: string): Promise<void> {
    await this.broker.control({ op: 'pause', queue })
  }

  async resume(queue: string): Promise<void> {
    await this.broker.control({ op: 'resume', queue })
  }

  /** How many of a queue may run at once, over all workers; null: any number. */
  async limit(queue: string, max: number | null): Promise<void> {
    await this.broker.control({ op: 'limit', queue, max: max ?? null })
  }

  /** How many begin in a second, over all workers; null: any number. */
  async rateLimit(scope: 'task' | 'queue' | 'key', name: string, rate: Rate | null): Promise<void> {
    await this.broker.control({ op: 'rateLimit', scope, name, rate })
  }

  /** Sends dead tasks again. */
  retryDead(which: WhichDead = {}): Promise<{ sent: number }> {
    return this.broker.control(commandOf('retryDead', which))
  }

  deleteDead(which: WhichDead = {}): Promise<{ deleted: number }> {
    return this.broker.control(commandOf('deleteDead', which))
  }

  /** Sends a task again and again; one of the same name is replaced. */
  async schedule(
    name: string,
    schedule: Schedule,
    message: Record<string, unknown>,
  ): Promise<{ nextAt: number | null }> {
    // A message has `retry.delayMs` and `eta`; under these names it would keep them, and nobody would heed them.
    refuseOwn('a message, whose fields are in docs/tasks-message.md', message ?? {}, 'retryDelay', 'countdown')
    // What JSON cannot say is refused here, with its path.
    return this.broker.control({ op: 'schedule', name, schedule, message: checked(message, 'message') })
  }

  async unschedule(name: string): Promise<void> {
    await this.broker.control({ op: 'unschedule', name })
  }

  schedules(): Promise<Record<string, unknown>[]> {
    return this.broker.control({ op: 'schedules' })
  }
}

function commandOf(op: string, fields: object): Command {
  checkObject(op, fields)
  return { ...fields, op }
}
