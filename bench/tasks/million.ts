/** An embedded queue in a process of its own, which says what it measured and waits to be killed. */
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import type { tasks as Tasks } from '../../nodes'

const { tasks } = createRequire(__filename)('../../dist') as { tasks: typeof Tasks }
const SOME = 100_000
const [path = '', what = '', size = ''] = process.argv.slice(2)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function send(task: Tasks.Task, count: number, options = {}): Promise<number> {
  const start = performance.now()
  for (let sent = 0; sent < count; sent += 1000) {
    await task.applyMany(
      Array.from({ length: 1000 }, (_, place) => [sent + place, 2]),
      options,
    )
  }
  return count / ((performance.now() - start) / 1000)
}

async function take(app: Tasks.App, count: number): Promise<number> {
  let left = count
  let end = () => {}
  const all = new Promise<void>((resolve) => {
    end = resolve
  })
  app.task('work', () => {
    left -= 1
    if (left === 0) end()
  })
  const worker = app.worker({ tasks: ['work'], concurrency: 50, prefetch: 200 })
  const start = performance.now()
  await worker.start()
  await all
  const rate = count / ((performance.now() - start) / 1000)
  await worker.stop()
  return rate
}

async function main(): Promise<void> {
  const start = performance.now()
  const app = await tasks.connect({ path })
  const openedMs = performance.now() - start
  const task = app.task('work')
  const said: Record<string, number> = { openedMs }
  if (what === 'fill') {
    await send(task, SOME)
    await take(app, SOME)
    said.sendEmpty = await send(task, SOME)
    said.takeEmpty = await take(app, SOME)
    await app.control.purge('default')
    await send(task, Number(size) - SOME)
    said.sendFull = await send(task, SOME)
    said.rssMb = process.memoryUsage().rss / 2 ** 20
    said.takeFull = await take(app, SOME)
    await send(task, SOME)
  } else if (what === 'delayed') {
    if (Number(size) > 0) await send(task, Number(size), { eta: Date.now() + 3_600_000 })
    await pause(2000)
    const before = process.cpuUsage()
    await pause(5000)
    const { user, system } = process.cpuUsage(before)
    said.idlePercent = (user + system) / 1e6 / 5 / 0.01
  }
  process.send?.(said)
}

main()
