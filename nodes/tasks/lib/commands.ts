/** What people ask a distributed queue, and tell it, by the `op` of a command. Answers are those of the embedded one. */
import { EngineError, quote } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { type Command, DEFAULT_LIMIT, MOST, type Rate, type State } from './broker'
import type { Filter, WhichDead } from './control'
import { type Distributed, nextFiring } from './distributed'
import { unknownTask } from './id'

/** The fields of a command that was checked: it has those of its kind. */
interface Checked extends Filter, WhichDead {
  id: string
  refuseLate?: boolean
  queue: string
  name: string
  max?: number
  scope: 'task' | 'queue' | 'key'
  rate?: Rate
  schedule: object
  message: object
}
type Page = { tasks: { id: string }[]; next: string | null }
const SCOPES = { task: 't', queue: 'q', key: 'k' }
const LIVE = ['pending', 'scheduled', 'received', 'started', 'retry']
const ENDED = ['success', 'failure', 'revoked', 'expired']
const PAGE = 500
/** So many dead tasks are sent again side by side. */
const AT_ONCE = 100
const SUMMARY = 16

export class Commands {
  constructor(private readonly broker: Distributed) {}

  async run(command: Command): Promise<unknown> {
    engine(() => native().checkCommand(JSON.stringify(command)))
    const { op, ...given } = command
    const fields = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null))
    return this.all[op]?.(fields as unknown as Checked)
  }

  private readonly all: Record<string, (fields: Checked) => Promise<unknown>> = {
    revoke: async ({ id, refuseLate }) => {
      const [revoked, signalled] = (await this.ask('revoke', id.toLowerCase(), refuseLate ? 1 : 0)) as number[]
      if (revoked === undefined) throw notFound('task', id)
      return { revoked, signalled }
    },
    purge: ({ queue }) => this.purge(queue),
    pause: ({ queue }) => this.tellQueue(queue, 'paused', '1'),
    resume: ({ queue }) => this.tellQueue(queue, 'paused', ''),
    limit: ({ queue, max }) => this.tellQueue(queue, 'limit', String(max ?? '')),
    rateLimit: async ({ scope, name, rate }) => {
      await this.ask('rate', `${SCOPES[scope]}${name}`, rate ? JSON.stringify(rate) : '')
      return {}
    },
    retryDead: async (which) => ({ sent: await this.retryDead(await this.whichDead(which)) }),
    deleteDead: async (which) => {
      let deleted = 0
      for (const ids of inPages(await this.whichDead(which))) deleted += (await this.ask('bury', ...ids)) as number
      return { deleted }
    },
    schedule: ({ name, schedule, message }) => this.schedule(name, schedule, message),
    unschedule: async ({ name }) => {
      if ((await this.ask('unschedule', name)) === 0) throw notFound('periodic task', name)
      return {}
    },
    schedules: async () => {
      const all = (await this.ask('schedules')) as string[][]
      return all.map(([name, fields = '{}', nextAt, lastAt]) => ({
        ...{ name, ...JSON.parse(fields), lastAt: numberOf(lastAt), nextAt: numberOf(nextAt) },
      }))
    },
    get: ({ id }) => this.get(id.toLowerCase()),
    workflow: ({ id }) => this.get(id.toLowerCase()),
    list: (filter) => this.list(filter),
    count: (filter) => this.count(filter),
    queues: () => this.queues(),
    workers: async () => {
      const all = (await this.ask('workers')) as [string, string, string, string, number][]
      return all.map(([info, finished, upMs, draining, running]) => {
        const { name, queues, tasks, prefetch } = JSON.parse(info)
        const counts = { running, finished: Number(finished), draining: draining === '1', upMs: Number(upMs) }
        return { name, queues, tasks, prefetch, ...counts }
      })
    },
    stats: async () => {
      const [live, dead, results, workflows, workers] = (await this.ask('stats')) as number[]
      const queues = await this.queues()
      const sum = (field: string) => queues.reduce((total, queue) => total + Number(queue[field]), 0)
      const work = { finished: sum('finished'), perSecond: sum('perSecond') }
      return { live, dead, results, workflows, workers, ...work, buffered: this.broker.buffered }
    },
  }

  private ask(op: string, ...args: (string | number)[]): Promise<unknown> {
    return this.broker.ask(op, ...args)
  }

  private async tellQueue(queue: string, field: string, value: string): Promise<object> {
    await this.ask('queue', queue, field, value)
    return {}
  }

  private async purge(queue: string): Promise<{ purged: number }> {
    let purged = 0
    for (let after = '0'; after !== ''; ) {
      const [next = '', ...ids] = await this.scan({ queue }, after, PAGE)
      if (ids.length > 0) purged += (await this.ask('purge', ...ids)) as number
      after = next
    }
    return { purged }
  }

  /** What to go on after, or an empty text, and ids of live tasks that fit. */
  private async scan(filter: Filter, after: string, most: number): Promise<string[]> {
    return (await this.ask('scan', ...wanted(filter), after, most)) as string[]
  }

  private async list(filter: Filter): Promise<object> {
    const limit = Math.min(Number(filter.limit ?? DEFAULT_LIMIT), MOST)
    const { state } = filter
    if (state === 'dead') return this.listDead(filter, limit)
    if (state && ENDED.includes(state)) return this.listResults(state, filter, limit)
    let after = cursor(filter.after, '0', /^\d+$/)
    const found: string[] = []
    while (after !== '' && found.length < limit) {
      const [next = '', ...ids] = await this.scan(filter, after, limit - found.length)
      found.push(...ids)
      after = next
    }
    // Some may have ended meanwhile.
    const rows = found.length > 0 ? ((await this.ask('tasks', ...found)) as string[][]) : []
    return { tasks: rows.map(summary), next: after === '' ? null : after }
  }

  private listDead(filter: Filter, limit: number): Promise<Page> {
    return this.page(['dead'], 7, filter, limit, (_place, id, queue, name, diedAt, message = '{}', result = '{}') => {
      const sent = JSON.parse(message)
      if (!fits(filter, { queue, name, workflow: sent.rootId })) return undefined
      const ended = JSON.parse(result)
      const error = ended.error ?? null
      return { id, state: 'dead', error, queue, name, diedAt: Number(diedAt), message: sent, result: ended }
    })
  }

  private listResults(state: State, filter: Filter, limit: number): Promise<Page> {
    return this.page(['results', state], 2, filter, limit, (_place, one) => {
      if (!one) return undefined
      const { queue, name, rootId, ...rest } = JSON.parse(one)
      return fits(filter, { queue, name, workflow: rootId }) ? { ...rest, queue, name, rootId } : undefined
    })
  }

  /** What fits, the newest first. Each entry begins with its place, from which the next page goes on. */
  private async page(
    [op, ...args]: [string, ...string[]],
    width: number,
    filter: Filter,
    limit: number,
    read: (...entry: string[]) => object | undefined,
  ): Promise<Page> {
    const tasks: { id: string }[] = []
    let place = cursor(filter.after, '', /^\d+:[\w-]+$/)
    for (;;) {
      const flat = (await this.ask(op, ...args, place)) as string[]
      if (flat.length === 0) return { tasks, next: null }
      for (let at = 0; at < flat.length; at += width) {
        const entry = flat.slice(at, at + width)
        place = entry[0] as string
        const task = read(...entry)
        if (task) tasks.push(task as { id: string })
        if (tasks.length === limit) return { tasks, next: place }
      }
    }
  }

  private async count(filter: Filter): Promise<Record<string, number>> {
    const counts = Object.fromEntries([...LIVE, 'dead'].map((state) => [state, 0]))
    if (filter.name === undefined && filter.workflow === undefined) {
      const queues = await this.queues()
      for (const queue of queues) {
        if (filter.queue !== undefined && filter.queue !== queue.name) continue
        for (const state of Object.keys(counts)) counts[state] = (counts[state] ?? 0) + Number(queue[state])
      }
      return counts
    }
    for (let place = '0'; place !== ''; ) {
      const [next = '', ...tally] = (await this.ask('tally', ...wanted(filter), place)) as string[]
      for (let at = 0; at < tally.length; at += 2) {
        const [state = '', count] = tally.slice(at, at + 2)
        counts[state] = (counts[state] ?? 0) + Number(count)
      }
      place = next
    }
    for (let from = filter; ; ) {
      const { tasks, next } = await this.listDead(from, MOST)
      counts.dead = (counts.dead ?? 0) + tasks.length
      if (next === null) return counts
      from = { ...filter, after: next }
    }
  }

  private async queues(): Promise<Record<string, unknown>[]> {
    const [now, all, oldest] = (await this.ask('queues')) as [string, string[][], string[]]
    const since = new Map<string, number>()
    for (let at = 0; at < oldest.length; at += 2) {
      const [queue = '', created] = oldest.slice(at, at + 2)
      since.set(queue, Math.min(since.get(queue) ?? Number.POSITIVE_INFINITY, Number(created)))
    }
    return all.map(([name = '', rate = '', ...flat]) => {
      const fields: Record<string, string> = {}
      for (let at = 0; at < flat.length; at += 2) fields[String(flat[at])] = String(flat[at + 1])
      const count = (field: string) => Number(fields[field] ?? 0)
      const second = Math.floor(Number(now) / 1000)
      const recent = Object.entries(fields).filter(([field]) => /^s\d+$/.test(field))
      const minute = recent.map(([, value]) => value.split(' ').map(Number) as [number, number])
      const done = minute.filter(([at]) => at > second - 60).reduce((sum, [, finished]) => sum + finished, 0)
      const oldestAt = since.get(name)
      return {
        ...{ name, paused: fields.paused === '1', limit: fields.limit === undefined ? null : count('limit') },
        rate: rate ? JSON.parse(rate) : null,
        ...Object.fromEntries([...LIVE, 'running', 'dead', 'finished'].map((field) => [field, count(field)])),
        oldestAgeMs: oldestAt === undefined ? null : Math.max(0, Number(now) - oldestAt),
        perSecond: done / 60,
      }
    })
  }

  private async get(id: string): Promise<object> {
    type Found = [string, string | string[], number]
    let [kind, found, live] = (await this.ask('get', id)) as Found
    if (kind === undefined) {
      await this.broker.recovered()
      ;[kind, found, live] = (await this.ask('get', id)) as Found
    }
    if (kind === 'result') return JSON.parse(found as string)
    if (kind === 'task') {
      const task = summary(found as string[])
      const [progress, attempts, message] = [found[11], found[12], found[SUMMARY]] as [string, string, string]
      return {
        ...task,
        progress: progress ? JSON.parse(progress) : null,
        attempts: JSON.parse(`[${attempts}]`),
        message: JSON.parse(message || '{}'),
      }
    }
    if (kind !== 'flow') return unknownTask(id)
    const [total, completed, failed, createdAt, cancelled] = (found as string[]).map(Number)
    return { id, total, completed, failed, createdAt, cancelled: cancelled === 1, live }
  }

  private async whichDead({ ids, queue }: WhichDead): Promise<string[]> {
    if (ids) {
      const all = [...new Set(ids.map((id) => id.toLowerCase()))]
      for (const some of inPages(all)) {
        const place = (await this.ask('stranger', ...some)) as number
        if (place > 0) throw notFound('dead task', some[place - 1])
      }
      return all
    }
    const all: string[] = []
    let place = ''
    do {
      const [next = '', ...some] = (await this.ask('buried', place, queue ?? '')) as string[]
      all.push(...some)
      place = next
    } while (place !== '')
    return all
  }

  private async retryDead(ids: string[]): Promise<number> {
    let sent = 0
    for (const some of inPages(ids, AT_ONCE)) {
      const all = await Promise.all(some.map((id) => this.resend(id)))
      sent += all.filter(Boolean).length
    }
    return sent
  }

  private async resend(id: string): Promise<boolean> {
    const [queue, message] = (await this.ask('body', id)) as string[]
    // Deleted meanwhile.
    if (!message) return false
    // Its time and its key are over.
    const { eta: _, expires: __, idempotencyKey: ___, ...rest } = JSON.parse(message)
    return this.broker.resend(id, JSON.stringify({ ...rest, queue }))
  }

  private async schedule(name: string, schedule: object, message: object): Promise<{ nextAt: number | null }> {
    const next = nextFiring(schedule, Number(await this.ask('time')))
    // What cannot be sent is refused now and not in the night.
    const probe = { ...message, v: 1, id: '01890000-0000-7000-8000-000000000000', createdAt: 0 }
    engine(() => native().readMessage(JSON.stringify(probe)))
    const nextAt = await this.ask('schedule', name, JSON.stringify({ schedule, message }), next ?? '')
    return { nextAt: numberOf(nextAt) }
  }
}

function summary(row: string[]) {
  const [name, queue, state, priority, created, due, expires, retries, deliveries, worker, root] = row
  return {
    id: row[SUMMARY - 1],
    ...{ name, queue, state, priority: Number(priority), createdAt: Number(created) },
    ...{ due: Number(due) > 0 ? Number(due) : null, expires: numberOf(expires) },
    ...{ retries: Number(retries), deliveries: Number(deliveries) },
    ...{ workerId: state === 'received' || state === 'started' ? worker : null, rootId: root || null },
  }
}

function* inPages(ids: readonly string[], most = MOST): Generator<string[]> {
  for (let at = 0; at < ids.length; at += most) yield ids.slice(at, at + most)
}

function wanted({ state, queue, name, workflow }: Filter): string[] {
  return [state, queue, name, workflow].map((value) => String(value ?? ''))
}

function fits(filter: Filter, task: Pick<Filter, 'queue' | 'name' | 'workflow'>): boolean {
  const { queue = task.queue, name = task.name, workflow = task.workflow } = filter
  return queue === task.queue && name === task.name && workflow === task.workflow
}

function cursor(after: unknown, from: string, form: RegExp): string {
  if (after === undefined || after === null) return from
  if (form.test(String(after))) return String(after)
  throw new EngineError('INVALID_OPTION', `after: ${quote(after)} is not the next of a page before`)
}

function numberOf(value: unknown): number | null {
  return value === '' || value === undefined || value === null ? null : Number(value)
}

function notFound(what: string, name: unknown): EngineError {
  return new EngineError('NOT_FOUND', `there is no ${what} ${quote(name)}; it may be finished and past its time`)
}
