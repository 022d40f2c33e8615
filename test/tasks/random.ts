/**
 * Random schedules: tasks that fail, wait, expire, are revoked, and workflows, while workers come and go. Every
 * accepted task ends in exactly one final state, callbacks of chords run once, and nothing is stuck.
 */
import assert from 'node:assert/strict'
import { tasks } from '../../nodes'
import { generator } from '../shared/random'
import type { Place } from './folder'

const FINAL = ['success', 'failure', 'revoked', 'expired', 'dead']
const ENDS = ['succeeded', 'failed', 'revoked', 'expired', 'dead']

export function randomSchedules(make: () => Place, count: number): void {
  const first = 1000
  for (let seed = first; seed < first + count; seed += 1) {
    it(`random schedule ${seed}`, async () => {
      const place = make()
      try {
        await run(place, generator(seed))
      } finally {
        await place.remove()
      }
    })
  }
}

async function run(place: Place, next: () => number): Promise<void> {
  const app = await place.connect()
  const below = (most: number) => Math.floor(next() * most)
  const ended = new Map<string, number>()
  const events = app.events({ max: 100_000 })
  const heard = (async () => {
    for await (const { event, id } of events)
      if (ENDS.includes(event)) ended.set(String(id), (ended.get(String(id)) ?? 0) + 1)
  })()

  app.task('work', async (how: { waitMs: number; failures: number; type: string }, task: tasks.Running) => {
    if (how.waitMs > 0) await new Promise((resolve) => setTimeout(resolve, how.waitMs))
    if (task.retries < how.failures) throw Object.assign(new Error('not yet'), { name: how.type })
    return how
  })
  const callbacks = new Map<number, number>()
  app.task('callback', (_results: unknown[], number: number) => {
    callbacks.set(number, (callbacks.get(number) ?? 0) + 1)
    return number
  })
  const how = () => ({ waitMs: below(3) * 4, failures: below(3), type: below(4) === 0 ? 'Fatal' : 'Error' })
  const options = () => ({
    ...{ priority: below(10), maxRetries: below(3), queue: `q${below(2)}` },
    retry: { delayMs: below(10), giveUpOn: ['Fatal'] },
    ...(below(5) === 0 && { countdown: below(100) / 1000 }),
    ...(below(8) === 0 && { expires: Date.now() + 1 + below(50) }),
  })
  const work = app.task('work')
  const singles: tasks.AsyncResult[] = []
  const chords: tasks.AsyncResult[] = []
  const workers: tasks.Worker[] = []
  for (let step = 0; step < 40; step += 1) {
    const dice = below(20)
    if (dice < 12) singles.push(await work.applyAsync([how()], options()))
    else if (dice < 14) {
      const parts = Array.from({ length: 1 + below(4) }, () => work.s(how()).set(options()))
      const chord = tasks.chord(parts, app.task('callback').s(chords.length)).onError('continue')
      chords.push(await chord.applyAsync())
    } else if (dice < 16) {
      const one = singles[below(singles.length)]
      await one?.revoke({ refuseLate: below(2) === 0 }).catch(() => {})
    } else if (dice < 18) {
      const worker = app.worker({ concurrency: 1 + below(4), prefetch: 1 + below(8) })
      workers.push(worker)
      await worker.start()
    } else if (workers.length > 0) await workers.splice(below(workers.length), 1)[0]?.stop({ drainMs: below(10) })
    else await app.control.count()
  }
  await app.worker({ concurrency: 10 }).start()

  const infos = await Promise.all([...singles, ...chords].map((one) => one.wait({ timeoutMs: 15_000 })))
  for (const { id, state } of infos) assert.ok(FINAL.includes(String(state)), `${id} is ${state}`)
  const { pending, scheduled, received, started, retry } = await app.control.count()
  assert.deepEqual(
    { pending, scheduled, received, started, retry },
    { pending: 0, scheduled: 0, received: 0, started: 0, retry: 0 },
  )
  assert.equal(Number((await app.control.stats()).workflows), 0)
  for (const [number, calls] of callbacks) assert.equal(calls, 1, `callback ${number}`)
  assert.equal(callbacks.size, chords.length)
  // The events of what is recorded are on their way.
  const last = Date.now() + 2000
  while (singles.some(({ id }) => !ended.has(id)) && Date.now() < last)
    await new Promise((resolve) => setImmediate(resolve))
  for (const { id } of singles) assert.equal(ended.get(id), 1, `${id} ended once`)
  await events.return()
  await heard
}
