/**
 * What a queue does while its clock is set ahead and back: what runs is not lost, and leases, timeouts, limits, keys and
 * intervals go by the time that passes. As a program: an embedded queue in the folder that is named, by the clock of this
 * process.
 */
import assert from 'node:assert/strict'
import { tasks } from '../../nodes'
import { setClock } from './clock'
import { eventOf, gate } from './folder'

export async function jumps(app: tasks.App, set: (hours: number) => void): Promise<void> {
  const events = app.events()
  const running = new Map<number, { begun: () => void; go: Promise<void> }>()
  app.task('slow', async (number: number, task: tasks.Running) => {
    running.get(number)?.begun()
    await running.get(number)?.go
    return task.deliveries
  })
  app.task('never', () => new Promise(() => {}))
  app.task('again', (task: tasks.Running) => {
    if (task.retries === 0) throw new Error('not yet')
    return task.retries
  })
  app.task('limited', () => 1)
  app.task('beat', () => {})
  const beats = async (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      await eventOf(events, ({ event, name }) => event === 'sent' && name === 'beat')
    }
  }
  await app.control.rateLimit('task', 'limited', { perSecond: 20, burst: 1 })
  await app.control.schedule('beat', { everyMs: 50 }, { name: 'beat', ignoreResult: true })
  await app.worker({ name: 'w' }).start()
  await beats(2)
  const first = await app.send('beat', [], { idempotencyKey: 'k', ignoreResult: true })

  for (const [number, hours] of [1, -1, 0].entries()) {
    const [begun, go] = [gate(), gate()]
    running.set(number, { begun: begun.open, go: go.opened })
    const slow = await app.send('slow', [number])
    const never = await app.send('never', [], { timeoutMs: 1500, maxRetries: 0 })
    await begun.opened
    set(hours)
    await beats(25)
    go.open()
    assert.equal(await slow.get(), 1, `${hours}: it ran once`)
    const { attempts, runtimeMs } = await slow.info()
    assert.equal(attempts, undefined)
    assert.ok(Number(runtimeMs) >= 0 && Number(runtimeMs) < 1_000_000, `${hours}: ${runtimeMs} ms`)
    await assert.rejects(never.get(), { code: 'TIMEOUT', message: /longer than its timeoutMs/ })
    assert.equal(await (await app.send('again', [], { retryDelay: 0.02 })).get(), 1)
    const limited = await Promise.all(Array.from({ length: 5 }, () => app.send('limited')))
    await Promise.all(limited.map((one) => one.get()))
    assert.deepEqual(
      (await app.control.workers()).map(({ name }) => name),
      ['w'],
    )
    assert.equal((await app.send('beat', [], { idempotencyKey: 'k' })).id, first.id)
  }
  await app.control.unschedule('beat')
  await events.return()
}

async function main(path: string): Promise<void> {
  const app = await tasks.connect({ path })
  await jumps(app, (hours) => {
    const before = Date.now()
    setClock(String(process.env.CLOCK_AHEAD), hours)
    assert.ok(Math.abs(Date.now() - before) > 1_000_000, 'the clock was set')
  })
  await app.close()
}

if (require.main === module) {
  main(String(process.argv[2])).catch((error) => {
    console.error(error)
    process.exit(1)
  })
}
