/** What the sidebar shows of a broker, and what can be done there. All answers are of bounded size. */
import { EngineError, quote } from '../shared/errors'
import type { App, Control, QueueInfo, TaskInfo, WorkerInfo } from './lib'

/** Queues and workers, at most: the busiest. */
const SHOWN = 100
/** Tasks of a page. */
const PAGE = 20
/** The longest text of an error. */
const TEXT = 300

export interface Overview {
  queues: QueueInfo[]
  /** How many there are of them. */
  queueCount: number
  workers: WorkerInfo[]
  workerCount: number
  totals: Record<'pending' | 'later' | 'running' | 'dead' | 'perSecond', number>
}

/** A task that did not end well. */
export interface Failed {
  id: string
  name: string
  queue: string
  /** When, in ms since 1970. */
  at: number | null
  retries: number
  error: string
}

export interface Page {
  tasks: Failed[]
  /** The `after` of the next page; null: there is none. */
  next: string | null
}

export async function overview({ control }: App): Promise<Overview> {
  const [queues, workers] = await Promise.all([control.queues(), control.workers()])
  const sum = (count: (queue: QueueInfo) => number) => queues.reduce((total, queue) => total + count(queue), 0)
  const busy = ({ pending, running, scheduled, retry, dead }: QueueInfo) => pending + running + scheduled + retry + dead
  return {
    queues: queues
      .toSorted((one, other) => busy(other) - busy(one) || (one.name < other.name ? -1 : 1))
      .slice(0, SHOWN),
    queueCount: queues.length,
    workers: workers.toSorted((one, other) => other.running - one.running).slice(0, SHOWN),
    workerCount: workers.length,
    totals: {
      pending: sum(({ pending }) => pending),
      later: sum(({ scheduled, retry }) => scheduled + retry),
      running: sum(({ running }) => running),
      dead: sum(({ dead }) => dead),
      perSecond: sum(({ perSecond }) => perSecond),
    },
  }
}

export async function page(control: Control, state: 'failure' | 'dead', after?: unknown): Promise<Page> {
  const filter = { state, limit: PAGE, ...(typeof after === 'string' && after !== '' && { after }) }
  const { tasks, next } = await control.list(filter)
  return { tasks: tasks.map(failedOf), next }
}

function failedOf(task: TaskInfo): Failed {
  const { retries } = (task.diedAt === undefined ? task : task.result) as TaskInfo
  return {
    id: task.id,
    name: task.name ?? '',
    queue: task.queue ?? '',
    at: task.diedAt ?? task.completedAt ?? null,
    retries: retries ?? 0,
    error: (task.error?.message ?? '').slice(0, TEXT),
  }
}

export async function act(control: Control, given: unknown): Promise<object> {
  const { command, queue, id } = (given ?? {}) as Record<string, unknown>
  const which = typeof id === 'string' ? { ids: [id] } : {}
  if (command === 'retryDead') return control.retryDead(which)
  if (command === 'deleteDead') return control.deleteDead(which)
  if ((command === 'pause' || command === 'resume') && typeof queue === 'string') {
    await control[command](queue)
    return {}
  }
  throw new EngineError('INVALID_INPUT', `${quote(command)} is no command of the monitor, or its queue is missing`)
}
