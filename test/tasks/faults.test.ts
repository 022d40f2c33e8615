/** What a queue on servers does when these, the way to them, or other workers fail. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from 'nats'
import { tasks } from '../../nodes'
import type { EngineError } from '../../nodes/shared/errors'
import { Cable } from './cable'
import { Clock } from './clock'
import { eventOf, gate } from './folder'
import { jumps } from './jumps'
import { NatsServer } from './nats-server'
import { missing, type Remote, Servers } from './servers'

const PERSISTENT = ['appendonly yes', 'appendfsync always']

describe('faults of a task queue on NATS and Redis', function () {
  if (missing) {
    it.skip(missing)
    return
  }
  this.timeout(60_000)
  let servers: Servers
  const places: Remote[] = []
  const cables: Cable[] = []
  const place = (...options: Parameters<Servers['place']>) => {
    const made = servers.place(...options)
    places.push(made)
    return made
  }
  beforeEach(async () => {
    servers = await Servers.start(PERSISTENT)
  })
  afterEach(async () => {
    await Promise.all(places.splice(0).map((made) => made.remove()))
    await Promise.all(cables.splice(0).map((cable) => cable.remove()))
    await servers.remove()
  })

  const add = (x: number, y: number) => x + y
  const problems = () => {
    const seen: EngineError[] = []
    const told = gate()
    const onProblem = (problem: EngineError) => {
      seen.push(problem)
      told.open()
    }
    return { seen, told: told.opened, onProblem }
  }
  const gone = async (app: tasks.App, field: string, value: number) => {
    while ((await app.control.stats())[field] !== value) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  it('nats-server killed and started again: what was accepted is done, what was sent meanwhile waits', async () => {
    const { told, seen, onProblem } = problems()
    const app = await place().connect({ onProblem })
    const sum = app.task('add', add)
    const before = await Promise.all(Array.from({ length: 100 }, (_, n) => sum.delay(n, 1)))
    await servers.nats.kill()
    await told
    assert.equal(seen[0]?.code, 'TRANSPORT')
    const sending = Promise.all(Array.from({ length: 50 }, (_, n) => sum.delay(n, 2)))
    await gone(app, 'buffered', 50)
    await app.worker().start()
    // Redis has what was accepted before.
    assert.deepEqual(
      await Promise.all(before.map((one) => one.get())),
      before.map((_, n) => n + 1),
    )
    await servers.nats.run()
    const after = await sending
    assert.deepEqual(
      await Promise.all(after.map((one) => one.get())),
      after.map((_, n) => n + 2),
    )
    await gone(app, 'buffered', 0)
  })

  it('by option, a send without NATS fails at once, and a full buffer refuses', async () => {
    const { told, onProblem } = problems()
    const fails = await place().connect({ offline: 'fail', onProblem })
    const waits = await place().connect({ maxBuffered: 1 })
    await servers.nats.kill()
    await told
    await assert.rejects(fails.send('a'), { code: 'TRANSPORT' })
    await gone(fails, 'buffered', 0)
    const first = waits.send('a')
    first.catch(() => {})
    await gone(waits, 'buffered', 1)
    await assert.rejects(waits.send('b'), { code: 'BUFFER_FULL' })
  })

  it('redis-server killed and started again with its data: nothing is lost, and nothing runs twice', async () => {
    const app = await place().connect()
    const runs = new Map<number, number>()
    const [begun, go] = [gate(), gate()]
    const work = app.task('work', async (n: number) => {
      runs.set(n, (runs.get(n) ?? 0) + 1)
      if (runs.size >= 10) begun.open()
      await go.opened
      return n
    })
    const sent = await Promise.all(Array.from({ length: 30 }, (_, n) => work.delay(n)))
    await app.worker({ concurrency: 10 }).start()
    await begun.opened
    const results = Promise.all(sent.map((one) => one.get()))
    await servers.redis.stop()
    go.open()
    // Accepted without Redis.
    const late = await work.delay(30)
    await servers.redis.run()
    assert.deepEqual(
      await results,
      sent.map((_, n) => n),
    )
    assert.equal(await late.get(), 30)
    assert.deepEqual([...runs.values()], Array(31).fill(1))
  })

  it('Redis back without its data: said, and what was not done runs, workflows from their beginning', async () => {
    await servers.redis.remove()
    const { seen, onProblem } = problems()
    servers = await Servers.start()
    const app = await place().connect({ onProblem })
    const events = app.events()
    const open = gate()
    const sum = app.task('add', add)
    const total = app.task('total', async (numbers: number[]) => {
      await open.opened
      return numbers.reduce((all, each) => all + each, 0)
    })
    const done = await sum.delay(1, 1)
    const worker = app.worker({ leaseMs: 1000 })
    await worker.start()
    assert.equal(await done.get(), 2)
    const chord = await tasks.chord([sum.s(1, 2), sum.s(3, 4)], total.s()).applyAsync()
    const delayed = await sum.applyAsync([5, 5], { countdown: 1.5 })
    await eventOf(events, ({ event, name }) => event === 'received' && name === 'total')
    const waiting = await app.send('nobody')
    await servers.redis.stop()
    await servers.redis.run()
    open.open()
    assert.equal(await chord.get(), 10)
    assert.equal(await delayed.get(), 10)
    assert.equal(await waiting.state(), 'pending')
    assert.equal(await done.state(), null, 'its result is gone')
    assert.ok(seen.some(({ code }) => code === 'STORE_FAILED'))
  })

  it('a network that is cut: sends, results and cancel signals go on when it is mended', async () => {
    const nats = await Cable.to(servers.nats.port)
    const redis = await Cable.to(servers.redis.port)
    cables.push(nats, redis)
    const { told, onProblem } = problems()
    const app = await place({
      natsUrl: `nats://127.0.0.1:${nats.port}`,
      redisUrl: `redis://127.0.0.1:${redis.port}`,
    }).connect({ onProblem })
    const [begun, go] = [gate(), gate()]
    const work = app.task('work', async (n: number) => {
      begun.open()
      await go.opened
      return n
    })
    await app.worker({ concurrency: 5 }).start()
    const sent = await Promise.all(Array.from({ length: 20 }, (_, n) => work.delay(n)))
    const results = Promise.all(sent.map((one) => one.get()))
    await begun.opened
    nats.cut()
    redis.cut()
    await told
    go.open()
    const late = work.delay(20)
    nats.mend()
    redis.mend()
    assert.deepEqual(
      await results,
      sent.map((_, n) => n),
    )
    assert.equal(await (await late).get(), 20)
  })

  it('a stream without room refuses, and goes on when workers made some', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-small-'))
    const small = await NatsServer.start([`jetstream { store_dir: "${folder}", max_file_store: 262144 }`])
    try {
      const app = await place({ natsUrl: small.url }).connect()
      const work = app.task('work', (n: number) => n)
      const text = 'x'.repeat(10_000)
      const sent: tasks.AsyncResult<number>[] = []
      const refused = async () => {
        for (;;) sent.push(await work.delay(sent.length, text))
      }
      await assert.rejects(refused(), { code: 'BUFFER_FULL' })
      assert.ok(sent.length > 0)
      await app.worker().start()
      assert.deepEqual(await Promise.all(sent.map((one) => one.get())), [...sent.keys()])
      // What is done leaves the stream.
      const later = async (): Promise<tasks.AsyncResult<number>> =>
        work.delay(7, text).catch(async (error) => {
          assert.equal(error.code, 'BUFFER_FULL')
          await new Promise((resolve) => setTimeout(resolve, 20))
          return later()
        })
      assert.equal(await (await later()).get(), 7)
      await app.close()
    } finally {
      await small.remove()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('a Redis without room: what was accepted runs once when there is some', async () => {
    await servers.redis.client().config('SET', 'maxmemory', '4mb', 'maxmemory-policy', 'noeviction')
    const app = await place().connect()
    const runs = new Map<number, number>()
    const work = app.task('work', (n: number) => void runs.set(n, (runs.get(n) ?? 0) + 1))
    const sent: tasks.AsyncResult[] = []
    // The stream has each, though Redis soon takes no more.
    while (sent.length < 300) sent.push(await work.delay(sent.length, 'x'.repeat(20_000)))
    // What is smaller than a message may have fitted.
    await servers.redis.client().config('SET', 'maxmemory', '3mb')
    await assert.rejects(app.control.pause('other'), { code: 'TRANSPORT' })
    await servers.redis.client().config('SET', 'maxmemory', '0')
    await app.worker().start()
    while (runs.size < sent.length) await new Promise((resolve) => setTimeout(resolve, 20))
    await Promise.all(sent.map((one) => one.wait()))
    assert.deepEqual([...runs.values()], Array(sent.length).fill(1))
  })

  it('a slow Redis: nothing runs twice, and what is asked is answered', async () => {
    const redis = await Cable.to(servers.redis.port)
    cables.push(redis)
    const app = await place({ redisUrl: `redis://127.0.0.1:${redis.port}` }).connect()
    const runs = new Map<number, number>()
    const work = app.task('work', async (n: number) => {
      runs.set(n, (runs.get(n) ?? 0) + 1)
      return n
    })
    const total = app.task('total', (numbers: number[]) => numbers.length)
    const worker = app.worker({ concurrency: 4, leaseMs: 1000 })
    await worker.start()
    redis.slow(100)
    const sent = await Promise.all(Array.from({ length: 20 }, (_, n) => work.delay(n)))
    const chord = await tasks.chord([work.s(20), work.s(21)], total.s()).applyAsync()
    assert.deepEqual(
      await Promise.all(sent.map((one) => one.get())),
      sent.map((_, n) => n),
    )
    assert.equal(await chord.get(), 2)
    await worker.stop()
    const late = await work.delay(22)
    assert.deepEqual(await late.revoke(), { revoked: 1, signalled: 0 })
    assert.deepEqual([...runs.values()], Array(22).fill(1))
  })

  it('a clock that jumps here: delays, leases and attempts go by the clock of Redis', async () => {
    const { now } = Date
    const jump = (hours: number) => {
      Date.now = () => now() + hours * 3_600_000
    }
    try {
      const app = await place().connect()
      let runs = 0
      const begun = gate()
      const slow = app.task('slow', async () => {
        runs += 1
        begun.open()
        await new Promise((resolve) => setTimeout(resolve, 700))
        return runs
      })
      const fails = app.task('fails', (task: tasks.Running) => {
        if (task.retries < 2) throw new Error('not yet')
        return task.retries
      })
      const delayed = await app.task('add', add).applyAsync([1, 2], { countdown: 0.5 })
      await app.worker({ leaseMs: 500 }).start()
      const long = await slow.delay()
      await begun.opened
      jump(1)
      assert.equal(await (await fails.applyAsync([], { retryDelay: 0.05 })).get(), 2)
      assert.equal(await delayed.get(), 3)
      jump(-2)
      assert.equal(await (await fails.applyAsync([], { retryDelay: 0.05 })).get(), 2)
      assert.equal(await long.get(), 1)
    } finally {
      Date.now = now
    }
  })

  it('a clock that jumps at Redis: leases, timeouts, limits and intervals go by the time that passes', async function () {
    const clock = Clock.make()
    if (!clock) return this.skip()
    try {
      await servers.remove()
      servers = await Servers.start([], clock.env)
      await jumps(await place().connect(), (hours) => clock.set(hours))
    } finally {
      clock.remove()
    }
  })

  it('Redis back without its data: its workers are known again, and hear that a task is called off', async () => {
    await servers.redis.remove()
    servers = await Servers.start()
    const app = await place().connect()
    const [begun, stopped] = [gate(), gate()]
    app.task('work', (task: tasks.Running) => {
      task.signal.addEventListener('abort', stopped.open)
      begun.open()
      return new Promise(() => {})
    })
    // Its heartbeats are too rare to tell it.
    await app.worker({ name: 'w', leaseMs: 600_000 }).start()
    await servers.redis.stop()
    await servers.redis.run()
    while ((await app.control.workers()).length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    const sent = await app.send('work')
    await begun.opened
    await sent.revoke()
    await stopped.opened
  })

  it('a dead task holds nothing back: what is done behind it leaves the stream, and it stays', async () => {
    const made = place()
    const app = await made.connect()
    app.task('add', add)
    app.task('never', () => {
      throw new Error('never')
    })
    await app.worker().start()
    const dead = await app.send('never', [], { maxRetries: 0 })
    assert.equal((await dead.wait()).state, 'dead')
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => app.send('add', [n, 1])))
    await Promise.all(all.map((one) => one.get()))
    const nats: NatsConnection = await connect({ servers: servers.nats.url })
    const manager = await nats.jetstreamManager()
    const left = async () => (await manager.streams.info(String(made.options.prefix))).state.messages
    while ((await left()) > 1) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(await left(), 1)
    // Sent again by two at the same time, it is one.
    const events = app.events()
    await app.control.pause('default')
    const twice = await Promise.all([1, 2].map(() => app.control.retryDead({ ids: [dead.id] })))
    assert.equal(
      twice.reduce((all, { sent }) => all + sent, 0),
      1,
    )
    await app.control.resume('default')
    await eventOf(events, ({ event }) => event === 'dead')
    while ((await left()) > 1) await new Promise((resolve) => setTimeout(resolve, 20))
    await app.control.deleteDead({ ids: [dead.id] })
    while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    await nats.close()
  })

  it('a sender that ended between the stream and Redis, or knows only NATS: its task runs', async () => {
    const app = await place().connect()
    app.task('add', add)
    await app.worker().start()
    const nats: NatsConnection = await connect({ servers: servers.nats.url })
    const { prefix } = places.at(-1)?.options ?? {}
    const id = '018f4e2a-7b1c-7def-8123-456789abcdef'
    await nats.jetstream().publish(`${prefix}.task`, JSON.stringify({ v: 1, id, name: 'add', args: [1, 2] }))
    await nats.jetstream().publish(`${prefix}.task`, 'no task')
    await nats.jetstream().publish(`${prefix}.workflow`, Uint8Array.of(0x1f, 0x8b, 1))
    while ((await app.result(id).state()) === null) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(await app.result(id).get(), 3)
    // Done, and what can never be a task, is not kept.
    const manager = await nats.jetstreamManager()
    while ((await manager.streams.info(String(prefix))).state.messages > 0) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await nats.close()
  })

  it('a chord whose workers are killed again and again: its callback runs once', async () => {
    const made = place()
    const app = await made.connect()
    let calls = 0
    const total = app.task('total', (numbers: number[]) => {
      calls += 1
      return numbers.length
    })
    await app.worker({ tasks: ['total'] }).start()
    const header = Array.from({ length: 60 }, (_, n) => app.task('part').s(n).set({ maxRetries: 20 }))
    const chord = await tasks.chord(header, total.s()).applyAsync()
    const result = chord.get({ timeoutMs: 50_000 })
    let worker: ChildProcess | undefined
    let ended = false
    result
      .finally(() => {
        ended = true
      })
      .catch(() => {})
    for (let kills = 0; !ended; kills += 1) {
      const child = fork(join(__dirname, 'part-worker.ts'), [JSON.stringify(made.options)], { execArgv: ['-r', 'tsx'] })
      worker = child
      // Each dies at another moment of its work.
      const wanted = 3 + ((kills * 7) % 11)
      await new Promise<void>((resolve) => {
        let done = 0
        child.on('message', () => {
          done += 1
          if (kills < 4 && done === wanted) resolve()
        })
        child.once('exit', () => resolve())
        result.finally(resolve).catch(() => {})
      })
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    }
    worker?.kill('SIGKILL')
    assert.equal(await result, 60)
    assert.equal(calls, 1)
    assert.equal((await app.control.count()).pending, 0)
  })

  it('of several instances one fires a periodic task', async () => {
    const made = place()
    const apps = await Promise.all([made.connect(), made.connect(), made.connect()])
    const events = (apps[0] as tasks.App).events()
    await apps[0]?.control.schedule('beat', { everyMs: 100 }, { name: 'beat', ignoreResult: true })
    for (const app of apps) {
      app.task('beat', () => {})
      await app.worker().start()
    }
    const times: number[] = []
    while (times.length < 10) times.push((await eventOf(events, ({ event }) => event === 'sent')).at)
    await apps[0]?.control.unschedule('beat')
    for (const [n, at] of times.slice(1).entries()) assert.ok(at - Number(times[n]) > 20, `${at - Number(times[n])} ms`)
  })

  it('limits hold over all instances', async () => {
    const made = place()
    const apps = await Promise.all([made.connect(), made.connect()])
    const [one] = apps as [tasks.App, tasks.App]
    let [running, most] = [0, 0]
    for (const app of apps) {
      app.task('work', async () => {
        running += 1
        most = Math.max(most, running)
        await new Promise((resolve) => setTimeout(resolve, 10))
        running -= 1
      })
      await app.worker({ concurrency: 5 }).start()
    }
    await one.control.limit('default', 3)
    const all = await Promise.all(Array.from({ length: 30 }, () => one.send('work')))
    await Promise.all(all.map((sent) => sent.get()))
    assert.ok(most <= 3, `${most} at once`)
    await one.control.limit('default', null)
    await one.control.rateLimit('key', '*', { perSecond: 20, burst: 1 })
    const keyed = await Promise.all(['a', 'b', 'a', 'b', 'a', 'b'].map((rateKey) => one.send('work', [], { rateKey })))
    const starts = await Promise.all(keyed.map(async (sent) => Number((await sent.wait()).startedAt)))
    const of = (from: number) =>
      starts.filter((_, n) => n % 2 === from).sort((x, y) => x - y) as [number, number, number]
    for (const [first, , last] of [of(0), of(1)]) assert.ok(last - first >= 95, `${last - first} ms`)
  })

  it('a close ends in time, also without servers', async () => {
    const app = await place().connect()
    const begun = gate()
    app.task('work', () => {
      begun.open()
      return new Promise(() => {})
    })
    await app.worker().start()
    await app.send('work')
    await begun.opened
    await servers.nats.kill()
    await servers.redis.stop()
    const closing = app.close({ drainMs: 1000 })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, 8000, 'late')
    })
    assert.notEqual(await Promise.race([closing, late]), 'late')
    clearTimeout(timer)
  })
})
