/** What a task queue does, whatever its broker: the same tests for each. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { tasks } from '../../nodes'
import { eventOf, Folder, gate, type Place } from './folder'

function circle(): object {
  const workflow: { chain: object[] } = { chain: [] }
  workflow.chain.push(workflow)
  return workflow
}

function deep(): unknown {
  let value: unknown = 1
  for (let level = 0; level < 50_000; level += 1) value = [value]
  return value
}

function chains(depth: number): object {
  let workflow: object = { task: 'a' }
  for (let level = 0; level < depth; level += 1) workflow = { chain: [workflow] }
  return workflow
}

export function behaviour(make: () => Place): void {
  let place: Place
  let app: tasks.App
  beforeEach(async () => {
    place = make()
    app = await place.connect()
  })
  afterEach(() => place.remove())

  it('does the example', async () => {
    const add = app.task('add', (x: number, y: number) => x + y, { queue: 'math', maxRetries: 5 })
    const sum = app.task('sum', (numbers: number[]) => numbers.reduce((total, each) => total + each, 0))
    await app.worker({ queues: ['math', 'default'] }).start()

    // Execute
    const result = await add.delay(1, 2)
    const value = await result.get()
    assert.equal(value, 3)

    // Delayed execution
    const sentAt = Date.now()
    const delayed = await add.applyAsync([1, 2], { countdown: 0.2 })
    assert.equal(await delayed.state(), 'scheduled')
    assert.equal(await delayed.get(), 3)
    assert.ok(Number((await delayed.info()).startedAt) >= sentAt + 200, 'not before its time')

    // Workflows
    const chain = tasks.chain([add.s(1, 2), add.s(3)]) // 1+2=3, 3+3=6
    const group = tasks.group([add.s(1, 2), add.s(3, 4)]) // [3, 7]
    const chord = tasks.chord([add.s(1, 2), add.s(3, 4)], sum.s()) // sum([3, 7]) = 10
    assert.equal(await (await chain.applyAsync()).get(), 6)
    assert.deepEqual(await (await group.applyAsync()).get(), [3, 7])
    assert.equal(await (await chord.applyAsync()).get(), 10)
  })

  it('brings named arguments and headers to the handler', async () => {
    const show = app.task('show', (...args: unknown[]) => {
      const task = args.pop() as tasks.Running
      return { args, kwargs: task.kwargs, headers: task.headers }
    })
    await app.worker().start()
    const sent = await show.applyAsync([1], { kwargs: { unit: 'm' }, headers: { from: 'here' } })
    assert.deepEqual(await sent.get(), { args: [1], kwargs: { unit: 'm' }, headers: { from: 'here' } })
    const chained = await tasks.chain([show.s(2).withKwargs({ a: 1 }).withKwargs({ b: 2 })]).applyAsync()
    assert.deepEqual(((await chained.get()) as { kwargs: object }).kwargs, { a: 1, b: 2 })
  })

  const unsendable: [title: string, value: () => unknown, path: string][] = [
    ['a function', () => ({ a: [() => {}] }), 'args[0].a[0]'],
    ['undefined', () => [undefined], 'args[0][0]'],
    ['a bigint', () => ({ n: 1n }), 'args[0].n'],
    ['a symbol', () => Symbol('x'), 'args[0]'],
    ['not a number', () => ({ deep: { er: Number.NaN } }), 'args[0].deep.er'],
    ['infinite', () => Number.POSITIVE_INFINITY, 'args[0]'],
    ['numbers as binary data', () => ({ data: new Float32Array(1) }), 'args[0].data'],
    ['a Map', () => new Map(), 'args[0]'],
    [
      'what holds itself',
      () => {
        const loop: Record<string, unknown> = {}
        loop.self = loop
        return loop
      },
      'args[0].self',
    ],
  ]
  for (const [title, value, path] of unsendable) {
    it(`refuses, by its path, what JSON cannot say: ${title}`, async () => {
      const task = app.task('a')
      const names = (error: Error & { code?: string }) =>
        error.code === 'INVALID_INPUT' && error.message.includes(`${path} `)
      await assert.rejects(task.delay(value()), names)
      assert.equal((await app.control.count()).pending, 0)
    })
  }

  it('sends what JSON can say: dates as text, the same object twice, properties without a value', async () => {
    const echo = app.task('echo', (value: unknown) => value)
    await app.worker().start()
    const twice = { n: 1 }
    const sent = await echo.delay({ at: new Date(0), a: twice, b: twice, none: undefined })
    assert.deepEqual(await sent.get(), { at: '1970-01-01T00:00:00.000Z', a: twice, b: twice })
  })

  it('sends Buffers by reference: the worker gets them, in their places', async () => {
    const seen: unknown[] = []
    const look = app.task('look', (...args: unknown[]) => {
      const task = args.pop() as tasks.Running
      seen.push(args, task.kwargs)
      return args.filter(Buffer.isBuffer).length
    })
    const sum = app.task('sum', (sizes: number[]) => sizes.reduce((total, each) => total + each, 0))
    const size = app.task('size', (bytes: Buffer) => bytes.length)
    await app.worker().start()
    const data = Buffer.alloc(3 << 20, 7)
    // What only looks like a reference is data.
    const alike = { $ref: '018f4e2a-7b1c-7def-8123-456789abcdef' }
    const sent = await look.applyAsync([data, { deep: [data] }, alike], { kwargs: { small: Buffer.from('x') } })
    assert.equal(await sent.get(), 1)
    assert.deepEqual(seen.splice(0), [[data, { deep: [data] }, alike], { small: Buffer.from('x') }])
    assert.equal(await (await look.applyAsync([alike])).get(), 0)
    assert.deepEqual(seen.splice(0), [[alike], {}])
    const many = await look.applyMany([[1], [Buffer.from('a')], [Buffer.from('b'), Buffer.from('c')]])
    assert.deepEqual(await Promise.all(many.map((one) => one.get())), [0, 1, 2])
    const chord = tasks.chord([size.s(Buffer.alloc(10)), size.s(Buffer.alloc(20))], sum.s())
    assert.equal(await (await chord.applyAsync()).get(), 30)
    await assert.rejects(look.delay(Buffer.allocUnsafe((64 << 20) + 1)), { code: 'TOO_LARGE' })
    await assert.rejects(
      look.delay(Buffer.from('x'), () => {}),
      { code: 'INVALID_INPUT' },
    )
  })

  it('keeps Buffers over attempts and a restart, and says when they are gone', async () => {
    const size = (bytes: Buffer, task: tasks.Running) => {
      if (task.retries === 0) throw new Error('not yet')
      return bytes.length
    }
    const retry = { retry: { delayMs: 1, jitter: 'none' as const } }
    const waits = await app.task('size', null, retry).delay(Buffer.alloc(5))
    const [key] = ((await waits.info()).message?.refs ?? []) as string[]
    await app.close()
    app = await place.connect()
    app.task('size', size)
    const worker = app.worker()
    await worker.start()
    assert.equal(await app.result(waits.id).get(), 5)
    // Nobody needs it any more.
    while ((await place.keptMs(String(key))) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    const late = await app.task('late').delay(Buffer.alloc(5))
    const named = (await late.info()).message?.refs as string[]
    assert.ok((await place.keptMs(String(named[0]))) > 6 * 86_400_000)
    await place.forget(String(named[0]))
    app.task('late', size)
    await app.worker().start()
    // Another attempt would not find it.
    await assert.rejects(late.get(), { code: 'NOT_FOUND' })
    const { state, retries, error } = await late.info()
    assert.deepEqual([state, retries, Object.keys(error ?? {}).includes('final')], ['failure', 0, false])
    // One that names a file or a key of its own choice gets none.
    const evil = { task: 'late', args: [{ $ref: '../tasks' }], options: { refs: ['../tasks'] } }
    await assert.rejects((await app.sendWorkflow(evil)).get(), { code: 'NOT_FOUND' })
  })

  it('refuses what is too large, with its size', async () => {
    await app.close()
    app = await place.connect({ maxPayloadBytes: 1000 })
    const big = app.task('big', () => 'x'.repeat(2000))
    await assert.rejects(big.delay('ü'.repeat(600)), { code: 'TOO_LARGE', message: /1[23]\d\d bytes/ })
    await app.worker().start()
    await assert.rejects((await big.applyAsync([], { maxRetries: 0 })).get(), { code: 'TOO_LARGE' })
  })

  it('tries again as the policy says, then it is dead, and can be sent again with its history', async () => {
    let fails = true
    const starts: number[] = []
    const flaky = app.task(
      'flaky',
      () => {
        starts.push(Date.now())
        if (fails) throw new RangeError('not yet')
        return 'well'
      },
      { maxRetries: 2, retry: { delayMs: 60, factor: 2, jitter: 'none' } },
    )
    await app.worker().start()
    const sent = await flaky.delay()
    const failure = await sent.get().catch((error) => error)
    assert.ok(failure instanceof tasks.TaskFailed)
    assert.deepEqual(
      [failure.code, failure.type, failure.info.state, failure.info.retries],
      ['TASK_FAILED', 'RangeError', 'dead', 2],
    )
    const [first = 0, second = 0, third = 0] = starts
    assert.equal(starts.length, 3)
    assert.ok(second - first >= 60 && third - second >= 120, `waits of ${second - first} and ${third - second} ms`)
    assert.equal(failure.info.attempts?.length, 3)
    assert.match(String(failure.info.attempts?.[0]?.error.traceback), /behaviour/)

    const { tasks: dead } = await app.control.list({ state: 'dead' })
    assert.deepEqual(
      dead.map(({ id, state, error, diedAt }) => [id, state, error, typeof diedAt]),
      [[sent.id, 'dead', failure.info.error, 'number']],
    )
    fails = false
    assert.deepEqual(await app.control.retryDead({ ids: [sent.id] }), { sent: 1 })
    assert.equal(await sent.get(), 'well')
    assert.equal((await sent.info()).attempts?.length, 3, 'the history stays')
  })

  it('carries small and large messages together, through attempts and death', async () => {
    let fails = true
    const measure = app.task(
      'measure',
      (text: string) => {
        if (fails) throw new Error('not yet')
        return text.length
      },
      { maxRetries: 1, retry: { delayMs: 1, jitter: 'none' } },
    )
    const sizes = [10, 100_000, 900, 5000, 0]
    const sent = await measure.applyMany(sizes.map((size) => ['x'.repeat(size)]))
    const known = await (sent[3] as tasks.AsyncResult<number>).info()
    assert.deepEqual(known.message?.args, ['x'.repeat(5000)])
    await app.worker({ prefetch: 5 }).start()
    await Promise.all(sent.map((one) => one.wait()))
    const { tasks: dead } = await app.control.list({ state: 'dead' })
    const lengths = dead.map(({ message }) => String((message as { args: string[] }).args[0]).length)
    assert.deepEqual(lengths.sort(), [...sizes].sort())
    fails = false
    assert.deepEqual(await app.control.retryDead({ ids: sent.map(({ id }) => id) }), { sent: 5 })
    assert.deepEqual(await Promise.all(sent.map((one) => one.get())), sizes)
  })

  it('gives up by the type of the error, and tries again where the handler asks', async () => {
    const seen: string[] = []
    const strict = app.task(
      'strict',
      () => {
        seen.push('strict')
        throw new TypeError('never')
      },
      { retry: { giveUpOn: ['TypeError'] } },
    )
    const asks = app.task(
      'asks',
      (task: tasks.Running) => {
        seen.push('asks')
        if (task.retries === 0) throw new tasks.Retry({ delayMs: 1 })
        return task.deliveries
      },
      { retry: { retryOn: ['Nothing'] } },
    )
    await app.worker().start()
    assert.equal((await (await strict.delay()).wait()).state, 'failure')
    assert.equal(await (await asks.delay()).get(), 2)
    assert.deepEqual(seen, ['strict', 'asks', 'asks'])
  })

  it('holds what is delayed over a restart, without an attempt', async () => {
    const eta = Date.now() + 500
    const sent = await app.task('late').applyAsync([], { eta })
    await app.close()
    app = await place.connect()
    app.task('late', (task: tasks.Running) => task.deliveries)
    await app.worker().start()
    assert.equal(await app.result(sent.id).get(), 1)
    assert.ok(Number((await app.result(sent.id).info()).startedAt) >= eta)
  })

  it('a task that expired is not begun', async () => {
    const sent = await app.task('old').applyAsync([], { expires: Date.now() + 20 })
    await assert.rejects(sent.get(), { code: 'EXPIRED' })
    // Nor one that waits for a worker, and is late already.
    app.task('old', () => 'begun')
    await app.worker().start()
    const late = await Promise.all([1, 2].map(() => app.send('old', [], { expires: Date.now() - 1000 })))
    for (const one of late) await assert.rejects(one.get(), { code: 'EXPIRED' })
    assert.equal(await (await app.send('old')).get(), 'begun')
  })

  it('higher priorities go first', async () => {
    const order: number[] = []
    const work = app.task('work', (n: number) => void order.push(n))
    const sent = await Promise.all([1, 9, 5].map((priority) => work.applyAsync([priority], { priority })))
    await app.worker({ concurrency: 1 }).start()
    await Promise.all(sent.map((one) => one.get()))
    assert.deepEqual(order, [9, 5, 1])
  })

  it('puts tasks that name no queue where their names say: the exact name before a pattern', async () => {
    const other = await place.connect({
      ...(place instanceof Folder && { path: join(place.path, 'routed') }),
      routes: [
        { match: 'mail.*', queue: 'mail' },
        { match: 'mail.urgent', queue: 'urgent' },
      ],
    })
    const queueOf = async (name: string, options?: tasks.SendOptions) =>
      (await (await other.send(name, [], options)).info()).queue
    const found = [await queueOf('mail.a'), await queueOf('mail.urgent'), await queueOf('call')]
    assert.deepEqual([...found, await queueOf('mail.b', { queue: 'own' })], ['mail', 'urgent', 'default', 'own'])
    const group = await tasks.group([other.task('mail.c').s(), other.task('call').s()]).applyAsync()
    const parts = await Promise.all(group.results.map((one) => one.info()))
    assert.deepEqual(
      parts.map(({ queue }) => queue),
      ['mail', 'default'],
    )
  })

  it('a second send of one key, or of one id, is the same task', async () => {
    let runs = 0
    const once = app.task('once', () => {
      runs += 1
      return runs
    })
    const [first, second] = await Promise.all([1, 2].map(() => once.applyAsync([], { idempotencyKey: 'k' })))
    assert.equal(second?.id, first?.id)
    await app.worker().start()
    assert.equal(await first?.get(), 1)
    const third = await once.applyAsync([], { idempotencyKey: 'k' })
    const fourth = await once.applyAsync([], { id: third.id })
    assert.deepEqual([await third.get(), await fourth.get(), runs], [1, 1, 1])
  })

  it('runs so many at once, and no more', async () => {
    const all = gate()
    let [running, most] = [0, 0]
    const work = app.task('work', async () => {
      running += 1
      most = Math.max(most, running)
      if (running === 3) all.open()
      await all.opened
      running -= 1
    })
    const worker = app.worker({ concurrency: 3, prefetch: 8 })
    await worker.start()
    const sent = await Promise.all(Array.from({ length: 20 }, () => work.delay()))
    await Promise.all(sent.map((one) => one.get()))
    assert.equal(most, 3)
    assert.equal(worker.running, 0)
  })

  it('keeps a long task alive by heartbeats, and those that wait in the worker', async () => {
    const work = app.task('work', async (task: tasks.Running) => {
      await new Promise((resolve) => setTimeout(resolve, 600))
      return task.deliveries
    })
    await app.worker({ concurrency: 1, prefetch: 2, leaseMs: 250 }).start()
    const sent = [await work.delay(), await work.delay()]
    assert.deepEqual(await Promise.all(sent.map((one) => one.get())), [1, 1])
  })

  it('without heartbeats what waits in the worker keeps its lease', async () => {
    const work = app.task('work', async (steps: number, task: tasks.Running) => {
      for (let step = 0; step < steps; step += 1) {
        await new Promise((resolve) => setTimeout(resolve, 300))
        await task.progress(step)
      }
      return task.deliveries
    })
    await app.worker({ concurrency: 1, prefetch: 2, leaseMs: 1000, heartbeat: false }).start()
    const sent = [await work.delay(5), await work.delay(0)]
    assert.deepEqual(await Promise.all(sent.map((one) => one.get())), [1, 1])
  })

  it('the lease begins anew when the task begins', async () => {
    const pause = () => new Promise((resolve) => setTimeout(resolve, 600))
    const sent = await app.send('work')
    const running = await new Promise<tasks.Running>((resolve) => {
      app.taker({ leaseMs: 1000, heartbeat: false, concurrency: 1 }, resolve).start()
    })
    await pause()
    await running.started()
    await pause()
    assert.equal(await running.done(1), true)
    assert.equal(await sent.get(), 1)
  })

  it('without heartbeats the lease ends a task that says nothing; progress keeps it', async () => {
    const aborted: string[] = []
    let first = true
    app.task('work', (task: tasks.Running) => {
      task.signal.addEventListener('abort', () => aborted.push(task.signal.reason.code))
      if (!first) return 'again'
      first = false
      return new Promise(() => {})
    })
    const sent = await app.send('work')
    await app.worker({ leaseMs: 50, heartbeat: false }).start()
    assert.equal(await sent.get(), 'again')
    assert.deepEqual(aborted, ['TIMEOUT'])
    const { attempts = [] } = await sent.info()
    assert.deepEqual(
      attempts.map(({ error }) => error.code),
      ['WORKER_LOST'],
    )
  })

  it('a task that takes longer than its timeout fails, and its signal says so', async () => {
    const told = gate()
    const slow = app.task(
      'slow',
      (task: tasks.Running) => {
        task.signal.addEventListener('abort', told.open)
        return new Promise(() => {})
      },
      { timeoutMs: 40, maxRetries: 0 },
    )
    await app.worker().start()
    await assert.rejects((await slow.delay()).get(), { code: 'TIMEOUT' })
    await told.opened
  })

  it('revokes what waits at once, and signals what runs', async () => {
    const begun = gate()
    app.task('long', async (task: tasks.Running) => {
      begun.open()
      await new Promise((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason)))
    })
    const sent = [await app.send('long'), await app.send('long')]
    await app.worker({ concurrency: 1 }).start()
    await begun.opened
    assert.deepEqual(await sent[1]?.revoke(), { revoked: 1, signalled: 0 })
    await assert.rejects(sent[1]?.get() as Promise<unknown>, { code: 'REVOKED' })
    assert.deepEqual(await sent[0]?.revoke(), { revoked: 0, signalled: 1 })
    await assert.rejects(sent[0]?.get() as Promise<unknown>, { code: 'REVOKED' })
  })

  it('ends at once what is revoked while it waits in a worker', async () => {
    const [begun, go] = [gate(), gate()]
    const names: string[] = []
    app.task('long', async (name: string) => {
      names.push(name)
      begun.open()
      await go.opened
    })
    const events = app.events()
    await app.worker({ concurrency: 1, prefetch: 2 }).start()
    const first = await app.send('long', ['first'])
    await begun.opened
    const second = await app.send('long', ['second'])
    await eventOf(events, ({ event, id }) => event === 'received' && id === second.id)
    await second.revoke()
    await assert.rejects(second.get(), { code: 'REVOKED' })
    assert.equal(await first.state(), 'started')
    go.open()
    await first.get()
    assert.deepEqual(names, ['first'])
  })

  it('waits with a limit, and can wait again', async () => {
    const sent = await app.send('nobody')
    await assert.rejects(sent.get({ timeoutMs: 10 }), { code: 'TIMEOUT' })
    assert.deepEqual([await sent.ready(), await sent.state()], [false, 'pending'])
    app.task('nobody', () => 1)
    await app.worker().start()
    assert.deepEqual(await Promise.all([sent.get(), sent.get()]), [1, 1])
    const late = await app.send('nobody', [], { countdown: 0.1 })
    const forLong = [Number.POSITIVE_INFINITY, 2 ** 31].map((timeoutMs) => late.get({ timeoutMs }))
    assert.deepEqual(await Promise.all(forLong), [1, 1])
    await assert.rejects(app.result('01890000-0000-7000-8000-000000000000').get(), { code: 'NOT_FOUND' })
    await assert.rejects(app.result('none "at all').get(), { code: 'NOT_FOUND' })
    assert.equal(await app.result('none "at all').state(), null)
    assert.equal(await app.result(sent.id.toUpperCase()).get(), 1)
  })

  it('nests workflows in one another', async () => {
    const add = app.task('add', (x: number, y: number) => x + y)
    const sum = app.task('sum', (numbers: number[], more = 0) =>
      numbers.flat().reduce((total, each) => total + each, typeof more === 'number' ? more : 0),
    )
    await app.worker().start()
    const nested = tasks.chain([
      tasks.group([tasks.chain([add.s(1, 1), add.s(1)]), tasks.chord([add.s(1, 2), add.s(3, 4)], sum.s())]),
      sum.s(),
      add.s(100),
    ])
    assert.equal(await (await nested.applyAsync()).get(), 113)
    assert.deepEqual(await (await tasks.map(sum, [[1, 2], [3]]).applyAsync()).get(), [3, 3])
    assert.deepEqual(
      await (
        await tasks
          .starmap(add, [
            [1, 2],
            [3, 4],
          ])
          .applyAsync()
      ).get(),
      [3, 7],
    )
    assert.deepEqual(await (await tasks.chunks(sum, [1, 2, 3, 4, 5], 2).applyAsync()).get(), [3, 7, 5])
    assert.deepEqual(await (await tasks.chain([add.s(1, 2), add.si(5, 5)]).applyAsync()).get(), 10)
  })

  it('says of a group what became of its parts', async () => {
    const part = app.task(
      'part',
      (n: number) => {
        if (n < 0) throw new Error('negative')
        return n
      },
      { maxRetries: 0 },
    )
    const handled: unknown[] = []
    const mend = app.task('mend', (error: unknown) => void handled.push(error))
    await app.worker().start()
    const mixed = await tasks
      .group([part.s(1), part.s(-1)])
      .errorTask(mend.s())
      .applyAsync()
    await assert.rejects(mixed.get(), { code: 'TASK_FAILED', message: /negative/ })
    assert.deepEqual([await mixed.completed(), await mixed.successful(), await mixed.failed()], [2, false, true])
    assert.equal(await mixed.results[0]?.get(), 1)
    const going = await tasks
      .group([part.s(1), part.s(-1)])
      .onError('continue')
      .applyAsync()
    const [one, other] = await going.get()
    assert.equal(one, 1)
    assert.equal((other as unknown as { error: { message: string } }).error.message, 'negative')
    assert.equal(await going.ready(), true)
    assert.equal(handled.length, 1)
  })

  it('a workflow that cannot run is refused, and one that is called off runs no further', async () => {
    const add = app.task('add', (x: number, y: number) => x + y)
    await assert.rejects(tasks.chain([]).applyAsync(), { code: 'INVALID_WORKFLOW' })
    await assert.rejects(app.sendWorkflow({ chain: [] }), { code: 'INVALID_WORKFLOW' })
    const sent = await tasks.chain([add.s(1, 2), add.s(3)]).applyAsync()
    assert.equal(await sent.state(), 'started')
    assert.equal(await sent.ready(), false)
    await sent.revoke()
    await assert.rejects(sent.get(), { code: 'REVOKED' })
  })

  it('tells what happens, bounded', async () => {
    const events = app.events()
    const few = app.events({ max: 10 })
    const work = app.task('work', async (task: tasks.Running) => {
      await task.progress({ percent: 50 })
    })
    await app.worker({ name: 'w' }).start()
    const { id } = await work.delay()
    const told: string[] = []
    await eventOf(events, (event) => {
      if (event.id === id) told.push(event.event)
      return event.event === 'succeeded'
    })
    assert.deepEqual(told, ['sent', 'received', 'started', 'progress', 'succeeded'])
    await Promise.all((await Promise.all(Array.from({ length: 50 }, () => work.delay()))).map((one) => one.get()))
    await eventOf(events, (event) => event.event === 'succeeded')
    assert.ok(few.dropped > 0)
    const read = few.next()
    assert.equal((await read).done, false)
    await few.return()
    const waiting = app.events()
    const last = waiting.next()
    await app.close()
    assert.equal((await last).done, true)
  })

  it('is told what to do: pause, resume, limits, purge, schedules', async () => {
    const { control } = app
    const work = app.task('work', () => 1, { queue: 'q' })
    await app.worker().start()
    await control.pause('q')
    const sent = await work.delay()
    assert.equal((await control.queues()).find(({ name }) => name === 'q')?.paused, true)
    assert.equal((await control.list({ queue: 'q' })).tasks[0]?.id, sent.id)
    await control.resume('q')
    assert.equal(await sent.get(), 1)
    await control.limit('q', 0)
    await work.delay()
    assert.deepEqual(await control.purge('q'), { purged: 1 })
    await control.limit('q', undefined as never)
    await control.rateLimit('task', 'work', { perSecond: 1000, burst: 1 })
    assert.equal(await (await work.delay()).get(), 1)
    await control.rateLimit('task', 'work', null)
    await control.schedule('often', { everyMs: 20 }, { name: 'work', queue: 'q' })
    assert.equal((await control.schedules()).length, 1)
    await eventOf(app.events(), ({ event, name }) => event === 'succeeded' && name === 'work')
    await control.unschedule('often')
    await assert.rejects(control.unschedule('often'), { code: 'NOT_FOUND' })
    assert.equal((await control.workers()).length, 1)
    assert.ok(Number((await control.stats()).finished) >= 3)
    assert.deepEqual(await control.deleteDead(), { deleted: 0 })
    assert.equal((await control.inspect(sent.id)).state, 'success')
  })

  it('lists and counts by state, queue, name and workflow, page by page', async () => {
    const { control } = app
    const work = app.task('work', (n: number) => {
      if (n < 0) throw new Error('negative')
      return n
    })
    const sent = await Promise.all([1, 2, 3, 4, 5].map((n) => work.applyAsync([n], { queue: 'a' })))
    await work.applyAsync([6], { queue: 'b', countdown: 60 })
    const ids: unknown[] = []
    let after: string | undefined
    for (let pages = 0; pages < 10; pages += 1) {
      const page = await control.list({ queue: 'a', limit: 2, ...(after && { after }) })
      ids.push(...page.tasks.map(({ id }) => id))
      if (page.next === null) break
      after = page.next
    }
    assert.deepEqual(ids.sort(), sent.map(({ id }) => id).sort())
    const [scheduled] = (await control.list({ state: 'scheduled' })).tasks
    assert.deepEqual([scheduled?.queue, scheduled?.name, scheduled?.retries], ['b', 'work', 0])
    const { pending, scheduled: later } = await control.count({ name: 'work' })
    assert.deepEqual([pending, later], [5, 1])
    assert.equal((await control.count({ name: 'other' })).pending, 0)
    const chain = await tasks.chain([work.s(7).set({ queue: 'c' }), work.si(8)]).applyAsync()
    assert.equal((await control.count({ workflow: chain.id })).pending, 1)
    assert.equal((await control.list({ workflow: chain.id })).tasks[0]?.rootId, chain.id)

    await app.worker().start()
    await Promise.all([...sent, chain].map((one) => one.get()))
    const done = await control.list({ state: 'success', queue: 'a', limit: 3 })
    assert.equal(done.tasks.length, 3)
    assert.ok(done.tasks.every(({ queue, state }) => queue === 'a' && state === 'success'))
    const dead = await Promise.all([-1, -2].map((n) => work.applyAsync([n], { maxRetries: 0, queue: 'd' })))
    await Promise.all(dead.map((one) => one.wait()))
    assert.equal((await control.list({ state: 'dead', queue: 'a' })).tasks.length, 0)
    assert.equal((await control.list({ state: 'dead', limit: 1 })).tasks.length, 1)
    assert.equal((await control.count()).dead, 2)
    assert.equal((await control.count({ name: 'work' })).dead, 2)
    assert.deepEqual((await control.list({ state: 'dead', workflow: chain.id })).tasks, [])
    const failing = await tasks.group([work.s(-3).set({ maxRetries: 0, queue: 'e' })]).applyAsync()
    await failing.wait()
    assert.equal((await control.list({ state: 'dead', workflow: failing.id })).tasks.length, 1)
    assert.equal((await control.count({ workflow: failing.id })).dead, 1)
    assert.deepEqual(await control.deleteDead({ queue: 'e' }), { deleted: 1 })
    for (const filter of [{ state: 'none' }, { limit: -1 }, { limit: 0 }, { queues: 'a' }] as object[]) {
      await assert.rejects(control.list(filter), { code: 'INVALID_OPTION' })
    }
    await assert.rejects(control.deleteDead({ ids: [chain.id] }), { code: 'NOT_FOUND' })
    assert.deepEqual(await control.deleteDead({ ids: [String(dead[0]?.id)] }), { deleted: 1 })
    assert.deepEqual(await control.retryDead({ queue: 'd' }), { sent: 1 })
    await dead[1]?.wait()
    assert.equal((await control.queues()).find(({ name }) => name === 'd')?.dead, 1)
    await assert.rejects(control.list({ after: 'nowhere' }), { code: 'INVALID_OPTION' })
  })

  it('knows a dead task longer than its result', async () => {
    const work = app.task('work', () => {
      throw new RangeError('never')
    })
    const events = app.events()
    await app.worker().start()
    const sent = await work.applyAsync([], { maxRetries: 0, resultTtlMs: 0 })
    await eventOf(events, ({ event }) => event === 'dead')
    const { state, attempts } = await sent.info()
    assert.deepEqual([state, attempts?.length], ['dead', 1])
    await assert.rejects(sent.get(), { type: 'RangeError' })
    assert.deepEqual(await sent.revoke(), { revoked: 0, signalled: 0 })
    await app.control.deleteDead()
  })

  it('pages go on where tasks end between them', async () => {
    app.task('work', () => 1)
    const busy = await app.task('work').applyMany(Array.from({ length: 600 }, () => []))
    const kept = await app.task('later').applyMany(Array.from({ length: 40 }, () => []))
    await app.worker({ tasks: ['work'] }).start()
    const ids = new Set<string>()
    for (let after: string | null | undefined; after !== null; ) {
      const page = await app.control.list({ limit: 20, ...(after && { after }) })
      for (const { id } of page.tasks) ids.add(id)
      after = page.next
    }
    for (const { id } of kept) assert.ok(ids.has(id))
    await Promise.all(busy.map((one) => one.get()))
  })

  it('deletes and sends again as many dead tasks as are named in one call', async () => {
    const work = app.task('work', (n: number) => {
      if (n >= 0) throw new Error('not yet')
    })
    const worker = app.worker()
    await worker.start()
    const sent = await work.applyMany([[1], [2], [3]], { maxRetries: 0 })
    await Promise.all(sent.map((one) => one.wait()))
    await worker.stop()
    const [first = '', second = '', third = ''] = sent.map(({ id }) => id)
    const many = Array.from({ length: 130_000 }, (_, n) => (n % 2 === 0 ? first : second.toUpperCase()))
    await assert.rejects(app.control.deleteDead({ ids: [...many, '01890000-0000-7000-8000-000000000000'] }), {
      code: 'NOT_FOUND',
    })
    assert.deepEqual(await app.control.deleteDead({ ids: many }), { deleted: 2 })
    assert.deepEqual(await app.control.retryDead({ ids: [third, third] }), { sent: 1 })
    assert.deepEqual([(await app.control.count()).dead, (await app.control.count()).pending], [0, 1])
  })

  it('a worker that stops finishes what runs and gives back the rest, which counts as nothing', async () => {
    const [begun, go] = [gate(), gate()]
    app.task('work', async (task: tasks.Running) => {
      begun.open()
      await go.opened
      return task.deliveries
    })
    const sent = [await app.send('work'), await app.send('work')]
    const worker = app.worker({ concurrency: 1, prefetch: 2 })
    await worker.start()
    await begun.opened
    const stopped = worker.stop({ drainMs: Number.POSITIVE_INFINITY })
    await new Promise((resolve) => setTimeout(resolve, 20))
    go.open()
    await stopped
    assert.equal(await sent[0]?.get(), 1)
    assert.equal(await sent[1]?.state(), 'pending')
    await app.worker().start()
    assert.equal(await sent[1]?.get(), 1, 'the first delivery that counts')
  })

  it('after the close every call says so, and nothing hangs', async () => {
    const sent = await app.send('nobody')
    const waiting = assert.rejects(sent.get(), { code: 'CLOSED' })
    const sending = app.send('more')
    await app.close()
    await waiting
    assert.ok((await sending).id, 'what was handed over before is safe')
    await assert.rejects(sent.get(), { code: 'CLOSED' })
    await assert.rejects(app.send('late'), { code: 'CLOSED' })
    await assert.rejects(app.control.queues(), { code: 'CLOSED' })
    assert.throws(() => app.events(), { code: 'CLOSED' })
  })

  const wrong: [title: string, call: () => unknown, code: string][] = [
    ['an unknown option', () => place.connect({ size: 1 } as never), 'INVALID_OPTION'],
    ['no tasks', () => app.worker(), 'INVALID_OPTION'],
    ['an unknown option of a worker', () => app.worker({ tasks: ['a'], concurency: 2 } as never), 'INVALID_OPTION'],
    ['an unknown option of a send', () => app.send('a', [], { maxRetry: 2 } as never), 'INVALID_OPTION'],
    ['an unknown option of a task', () => app.task('a', null, { retries: 2 } as never).delay(), 'INVALID_OPTION'],
    [
      'an unknown option of a signature',
      () =>
        app
          .task('a')
          .s()
          .set({ refs: [] } as never),
      'INVALID_OPTION',
    ],
    ['an unknown field of retry', () => app.send('a', [], { retry: { maxDelay: 2 } as never }), 'INVALID_OPTION'],
    ['an empty key', () => app.send('a', [], { idempotencyKey: '' }), 'INVALID_INPUT'],
    ['an empty queue', () => app.control.pause(''), 'INVALID_OPTION'],
    ['a queue with half of a character', () => app.control.pause('a\ud800'), 'INVALID_OPTION'],
    [
      'a cron that never comes',
      () => app.control.schedule('s', { cron: '0 0 30 2 *' }, { name: 'a' }),
      'INVALID_OPTION',
    ],
    ['a queue without a name to empty', () => app.control.purge(''), 'INVALID_OPTION'],
    ['dead tasks of a queue without a name', () => app.control.deleteDead({ queue: '' }), 'INVALID_OPTION'],
    ['dead tasks that are not named at all', () => app.control.deleteDead(5 as never), 'INVALID_OPTION'],
    ['an unknown filter', () => app.control.list({ queues: 'a' } as never), 'INVALID_OPTION'],
    ['an unknown state', () => app.control.count({ state: 'done' as never }), 'INVALID_OPTION'],
    ['a limit that is no number', () => app.control.limit('a', 'x' as never), 'INVALID_OPTION'],
    ['a scope that is none', () => app.control.rateLimit('all' as never, 'a', null), 'INVALID_OPTION'],
    ['no rate at all', () => app.control.rateLimit('task', 'a', { perSecond: 0, burst: 1 }), 'INVALID_OPTION'],
    ['ids that are no list', () => app.control.deleteDead({ ids: 'all' as never }), 'INVALID_OPTION'],
    ['an unknown way to name the dead', () => app.control.retryDead({ id: 'x' } as never), 'INVALID_OPTION'],
    [
      'a periodic task that is no JSON',
      () => app.control.schedule('s', { everyMs: 1000 }, { name: 'a', args: [1n] }),
      'INVALID_INPUT',
    ],
    ['an argument that is no list', () => app.task('a').applyAsync({ n: 1 } as never), 'INVALID_INPUT'],
    ['many sends of arguments that are no lists', () => app.task('a').applyMany([1] as never), 'INVALID_INPUT'],
    ['many sends of one id', () => app.task('a').applyMany([[1]], { id: 'x' } as never), 'INVALID_OPTION'],
    ['many sends of one key', () => app.task('a').applyMany([[1]], { idempotencyKey: 'x' } as never), 'INVALID_OPTION'],
    ['a signature with an id', () => app.task('a').s().set({ id: 'x' }), 'INVALID_OPTION'],
    ['a name with what stands between names', () => app.send('a\x1fb'), 'INVALID_INPUT'],
    ['a queue with what stands between names', () => app.send('a', [], { queue: 'a\x1fb' }), 'INVALID_INPUT'],
    ['headers that are no object', () => app.send('a', [], { headers: ['x'] as never }), 'INVALID_INPUT'],
    ['a policy that goes back', () => app.send('a', [], { retry: { factor: -1 } }), 'INVALID_INPUT'],
    ['a wait that is no time', () => app.result('a').get({ timeoutMs: Number.NaN }), 'INVALID_OPTION'],
    ['a retry that is no time', () => new tasks.Retry({ delayMs: '5' as never }), 'INVALID_OPTION'],
    [
      'a periodic task with an option that only sends have',
      () => app.control.schedule('s', { everyMs: 1000 }, { name: 'a', retryDelay: 3 }),
      'INVALID_OPTION',
    ],
    ['no slot', () => app.worker({ tasks: ['a'], concurrency: 0 }), 'INVALID_OPTION'],
    ['no lease', () => app.worker({ tasks: ['a'], leaseMs: 0 }).start(), 'INVALID_OPTION'],
    ['a workflow that holds itself', () => app.sendWorkflow(circle()), 'INVALID_INPUT'],
    ['arguments that are nested too deeply', () => app.send('a', [deep()]), 'INVALID_INPUT'],
    ['a workflow that is nested too deeply', () => app.sendWorkflow(chains(41)), 'INVALID_WORKFLOW'],
    ['a workflow that is nested far too deeply', () => app.sendWorkflow(chains(20_000)), 'INVALID_INPUT'],
    ['a group of nothing', () => tasks.group([]).applyAsync(), 'INVALID_WORKFLOW'],
    ['chunks of nothing', () => tasks.chunks(app.task('a'), [1], 0), 'INVALID_OPTION'],
    ['a countdown to the past', () => app.send('a', [], { countdown: -1 }), 'INVALID_OPTION'],
    ['no time', () => app.send('a', [], { eta: new Date('x') }), 'INVALID_OPTION'],
    ['a priority beyond', () => app.send('a', [], { priority: 10 }), 'INVALID_INPUT'],
  ]
  for (const [title, call, code] of wrong) {
    it(`refuses ${title}`, () => assert.rejects(async () => call(), { code }))
  }

  it('what the handler returns must be JSON, and a name without a handler fails', async () => {
    const odd = app.task('odd', () => ({ f: () => {} }), { maxRetries: 0 })
    await app.worker({ tasks: ['*'] }).start()
    await assert.rejects((await odd.delay()).get(), { code: 'TASK_FAILED', message: /result\.f / })
    await assert.rejects((await app.send('stranger', [], { maxRetries: 0 })).get(), { message: /stranger/ })
    app.task('text', () => {
      throw 'just a text'
    })
    await assert.rejects((await app.send('text', [], { maxRetries: 0 })).get(), { message: /just a text/ })
  })

  it('records what a handler throws, whatever it is, with texts of bounded length', async () => {
    const thrown = [
      Object.assign(new Error('m'), { message: { status: 500 } }),
      Object.assign(new Error('m'), { name: 5, code: null }),
      new Error(`cut ${'x'.repeat(3 << 20)}`),
      new Error('half \ud83d'),
      Object.create(null),
      undefined,
    ]
    app.task('throws', (place: number) => {
      throw thrown[place]
    })
    await app.worker().start()
    const ended = thrown.map(async (_, place) => (await app.send('throws', [place], { maxRetries: 0 })).wait())
    const errors = (await Promise.all(ended)).map(({ state, error }) => {
      assert.equal(state, 'dead')
      return [error?.type, error?.message.slice(0, 40), error?.code]
    })
    assert.deepEqual(errors, [
      ['Error', '[object Object]', undefined],
      ['5', 'm', undefined],
      ['Error', `cut ${'x'.repeat(36)}`, undefined],
      ['Error', 'half \ufffd', undefined],
      ['Error', '[object Object]', undefined],
      ['Error', 'undefined', undefined],
    ])
    const { tasks: dead } = await app.control.list({ state: 'dead' })
    for (const { error } of dead) assert.ok(Number(error?.message.length) <= 4000)
  })

  it('a part of a workflow that would be another task is refused: what waits for it would wait for ever', async () => {
    const work = app.task('work', (n: number) => n)
    const part = { task: 'work', id: '018f4e2a-7b1c-7def-8123-456789abcdef' }
    const keyed = work.s(1).set({ idempotencyKey: 'k' })
    await assert.rejects(tasks.group([keyed, keyed]).applyAsync(), {
      code: 'INVALID_WORKFLOW',
      message: /idempotencyKey/,
    })
    await assert.rejects(app.sendWorkflow({ group: [part, part] }), { code: 'INVALID_WORKFLOW', message: /group\[1\]/ })
  })

  it('a part whose id another task has fails, and so does what waits for it', async () => {
    const work = app.task('work', (text: string) => text)
    const done = await work.delay('first')
    await app.worker().start()
    await done.get()
    const live = await app.send('work', ['later'], { countdown: 60 })
    for (const { id } of [done, live]) {
      const part = { task: 'work', args: ['part'], id }
      const ok = { task: 'work', args: ['ok'], immutable: true }
      const whole = [
        { chain: [part, ok] },
        { chain: [ok, part, ok] },
        { chord: { header: [ok, part], body: ok } },
        { group: [{ chain: [ok, part] }, ok] },
      ]
      for (const one of whole) {
        const sent = await app.sendWorkflow(one)
        await assert.rejects(sent.get({ timeoutMs: 20_000 }), { code: 'TASK_FAILED', message: new RegExp(id) })
      }
      const on = await app.sendWorkflow({ chain: [part, { task: 'work' }], onError: 'continue' })
      assert.equal(
        ((await on.get({ timeoutMs: 20_000 })) as { error: { code: string } }).error.code,
        'INVALID_WORKFLOW',
      )
    }
    assert.equal(await app.result(done.id).get(), 'first')
    assert.equal(await app.result(live.id).state(), 'scheduled')
    assert.equal((await app.control.stats()).workflows, 0)
  })

  it('a chain, group or chord whose id a task has leaves its result alone', async () => {
    const add = app.task('add', (...args: unknown[]) => {
      const numbers = args.flat().filter((each) => typeof each === 'number')
      return numbers.reduce((sum, each) => sum + each, 0)
    })
    await app.worker().start()
    const parts = [
      { task: 'add', args: [1] },
      { task: 'add', args: [2] },
    ]
    const wholes = [{ chain: parts }, { group: parts }, { chord: { header: parts, body: { task: 'add' } } }]
    for (const whole of wholes) {
      const waiting = await add.applyAsync([40], { countdown: 60 })
      const sent = await app.sendWorkflow({
        group: [
          { id: waiting.id, ...whole },
          { task: 'add', args: [4] },
        ],
      })
      assert.equal(((await sent.get({ timeoutMs: 20_000 })) as unknown[])[1], 4)
      assert.equal(await waiting.state(), 'scheduled')
      await waiting.revoke()
      await assert.rejects(waiting.get({ timeoutMs: 20_000 }), { code: 'REVOKED' })
    }
  })

  it('workflows have as many parts as a message holds', async () => {
    const work = app.task('work', () => null, { maxRetries: 0 })
    const fail = app.task(
      'fail',
      () => {
        throw new Error('broken')
      },
      { maxRetries: 0 },
    )
    const many = tasks.map(work, Array(25_000).fill(0))
    const sent = await many.applyAsync()
    assert.equal((await app.control.stats()).live, 25_000)
    await sent.revoke()
    await assert.rejects(sent.get({ timeoutMs: 60_000 }), { code: 'REVOKED' })
    await app.worker().start()
    const chain = await tasks.chain([tasks.group([fail.s(), fail.s()]), many]).applyAsync()
    await assert.rejects(chain.get({ timeoutMs: 60_000 }), { code: 'TASK_FAILED', message: /broken/ })
    const { live, workflows } = await app.control.stats()
    assert.deepEqual([live, workflows], [0, 0])
  }).timeout(150_000)

  it('a task whose process is killed runs again, and only it', async () => {
    const sent = [await app.send('work', [], { headers: { n: 1 } }), await app.send('other')]
    await app.close()
    const process = fork(join(__dirname, 'mortal.ts'), [JSON.stringify(place.options)], { execArgv: ['-r', 'tsx'] })
    await once(process, 'message')
    process.kill('SIGKILL')
    await once(process, 'exit')
    app = await place.connect()
    app.task('work', (task: tasks.Running) => task.retries)
    app.task('other', (task: tasks.Running) => task.retries)
    await app.worker().start()
    const results = await Promise.all(sent.map(({ id }) => app.result(id).get()))
    assert.deepEqual(results, [1, 0])
    const { attempts = [] } = await app.result(sent[0]?.id ?? '').info()
    assert.deepEqual(
      attempts.map(({ error }) => error.code),
      ['WORKER_LOST'],
    )
  })
}
