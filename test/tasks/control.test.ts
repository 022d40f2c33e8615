import assert from 'node:assert/strict'
import { brokerOf, controlOf, doneOf, type Json, Rig, type Seen, sendOf, workerOf } from './rig'

const unknown = '01890000-0000-7000-8000-000000000000'

describe('millrace-tasks-control', () => {
  afterEach(() => Rig.stop())

  let rig: Rig
  let asked = 0
  async function start(...nodes: Json[]): Promise<void> {
    asked = 0
    rig = await Rig.start(brokerOf(), sendOf(), controlOf(), ...nodes)
  }

  /** The answer to a command of a message. */
  async function ask(topic: string, options?: Json, more: Json = {}): Promise<Seen> {
    asked += 1
    rig.send('control', { topic, ...(options && { options }), ...more })
    return (await rig.until('answer', asked))[asked - 1].payload
  }

  async function send(message: Json): Promise<string> {
    const count = rig.seen.sent.length + 1
    rig.send('send', message)
    return (await rig.until('sent', count))[count - 1].taskId
  }

  it('revokes, inspects and counts', async () => {
    await start()
    const taskId = await send({ payload: 1 })
    assert.equal((await ask('inspect', undefined, { taskId })).state, 'pending')
    assert.deepEqual((await ask('count', { queue: 'default' })).pending, 1)
    assert.deepEqual(await ask('revoke', { id: taskId }), { revoked: 1, signalled: 0 })
    assert.equal((await ask('inspect', { id: taskId })).state, 'revoked')
    await rig.find('status', ({ id, text }) => id === 'control' && text === 'status.obeyed')
  })

  it('tells a worker flow to stop, and refuses what it still reports', async () => {
    await start(workerOf(), doneOf())
    const taskId = await send({})
    const [task] = await rig.until('task')
    assert.deepEqual(await ask('revoke', { refuseLate: true }, { taskId }), { revoked: 0, signalled: 1 })
    assert.equal((await rig.until('stopped'))[0].payload, 'REVOKED')
    rig.send('done', task)
    assert.equal((await rig.until('caught'))[0].error.code, 'NOT_FOUND')
  })

  it('lists page by page, with filters', async () => {
    await start()
    for (let n = 0; n < 5; n += 1) await send({ payload: n, options: { queue: n < 3 ? 'a' : 'b' } })
    const first = await ask('list', { queue: 'a', limit: 2 })
    const second = await ask('list', { queue: 'a', limit: 2, after: first.next })
    assert.deepEqual([first.tasks.length, second.tasks.length, second.next], [2, 1, null])
    assert.equal((await ask('list', { name: 'other' })).tasks.length, 0)
    assert.equal((await ask('list', { state: 'dead' })).tasks.length, 0)
  })

  it('pauses, limits, purges and resumes a queue', async () => {
    await start(workerOf({ queues: 'q' }))
    await ask('pause', { queue: 'q' })
    await ask('limit', { queue: 'q', max: 3 })
    await ask('rateLimit', { scope: 'queue', target: 'q', perSecond: 5, burst: 7 })
    await send({ options: { queue: 'q' } })
    const [queue] = (await ask('queues')).filter(({ name }: Json) => name === 'q')
    assert.deepEqual([queue.paused, queue.limit, queue.rate, queue.pending], [true, 3, { perSecond: 5, burst: 7 }, 1])
    assert.deepEqual(await ask('purge', { queue: 'q' }), { purged: 1 })
    await ask('limit', { queue: 'q', max: null })
    await ask('rateLimit', { scope: 'queue', target: 'q', perSecond: null })
    await ask('resume', { queue: 'q' })
    const [after] = (await ask('queues')).filter(({ name }: Json) => name === 'q')
    assert.deepEqual([after.paused, after.limit, after.rate, after.pending], [false, null, null, 0])
    assert.deepEqual(rig.seen.task, [])
    await send({ options: { queue: 'q' } })
    await rig.until('task')
  })

  it('sends dead tasks again, and deletes them', async () => {
    await start(workerOf({ wires: [['task', 'done'], []] }), doneOf({ outcome: 'failure' }))
    const dead = await send({ options: { maxRetries: 0 } })
    await rig.until('recorded')
    assert.deepEqual(await ask('retryDead', { ids: [dead] }), { sent: 1 })
    await rig.until('recorded', 2)
    assert.deepEqual(await ask('retryDead', { queue: 'elsewhere' }), { sent: 0 })
    assert.deepEqual(await ask('deleteDead'), { deleted: 1 })
    assert.equal((await ask('stats')).dead, 0)
  })

  it('sends a task again and again', async () => {
    await start(workerOf({ name: 'mill' }))
    const schedule = { name: 'tick', schedule: { everyMs: 50 }, message: { name: 'tick', args: [1] } }
    assert.equal(typeof (await ask('schedule', schedule)).nextAt, 'number')
    assert.deepEqual((await rig.until('task', 2)).map(({ topic }) => topic).slice(0, 2), ['tick', 'tick'])
    assert.deepEqual(
      (await ask('schedules')).map(({ name }: Json) => name),
      ['tick'],
    )
    await ask('unschedule', { name: 'tick' })
    assert.deepEqual(await ask('schedules'), [])
    assert.deepEqual(
      (await ask('workers')).map(({ name }: Json) => name),
      ['mill'],
    )
  })

  it('does what the dialog says, and the fields of the message go first', async () => {
    const pause = controlOf({ command: 'pause', queue: 'a' })
    rig = await Rig.start(brokerOf(), pause, controlOf({ id: 'list', command: 'queues' }))
    rig.send('control', { topic: 'purge' })
    rig.send('control', { options: { queue: 'b' } })
    await rig.until('answer', 2)
    rig.send('list', {})
    const [, , { payload }] = await rig.until('answer', 3)
    const paused = payload.filter((queue: Json) => queue.paused).map(({ name }: Json) => name)
    assert.deepEqual(paused.toSorted(), ['a', 'b'])
  })

  const limits: [title: string, config: Json, field: string, expected: unknown][] = [
    ['rate', { command: 'rateLimit', target: 'q', perSecond: 2.5 }, 'rate', { perSecond: 2.5, burst: 3 }],
    ['limit', { command: 'limit', queue: 'q', max: 4 }, 'limit', 4],
  ]
  for (const [title, config, field, expected] of limits) {
    it(`sets the ${title} of the dialog`, async () => {
      rig = await Rig.start(brokerOf(), controlOf(config), controlOf({ id: 'list', command: 'queues' }))
      // Queues are listed once they are named.
      rig.send('list', {})
      await rig.until('answer')
      rig.send('control', {})
      await rig.until('answer', 2)
      const resume = { command: 'message' }
      await rig.redeploy('nodes', brokerOf(), controlOf(resume))
      rig.send('control', { topic: 'pause', options: { queue: 'q' } })
      await rig.until('answer', 3)
      rig.send('control', { topic: 'queues' })
      const [, , , { payload }] = await rig.until('answer', 4)
      assert.deepEqual(payload.find(({ name }: Json) => name === 'q')[field], expected)
    })
  }

  const wrong: [title: string, message: Json, code: string, named: RegExp][] = [
    ['no command', {}, 'INVALID_INPUT', /failure\.command/],
    ['an unknown command', { topic: 'toString' }, 'INVALID_INPUT', /failure\.command/],
    ['no id', { topic: 'revoke' }, 'INVALID_INPUT', /id/],
    ['an unknown id', { topic: 'revoke', taskId: unknown }, 'NOT_FOUND', /0189/],
    ['no queue', { topic: 'purge' }, 'INVALID_INPUT', /queue/],
    ['options that are none', { topic: 'purge', options: 'q' }, 'INVALID_INPUT', /options/],
    [
      'a wrong rate',
      { topic: 'rateLimit', options: { scope: 'queue', target: 'q', perSecond: -1 } },
      'INVALID_OPTION',
      /rate/,
    ],
    ['a wrong scope', { topic: 'rateLimit', options: { scope: 'moon', target: 'q' } }, 'INVALID_OPTION', /moon/],
    ['what JSON cannot say', { topic: 'list', options: { queue: [1n] } }, 'INVALID_INPUT', /options\.queue\[0\]/],
    ['an id that is none', { topic: 'inspect', taskId: { id: 1 } }, 'INVALID_INPUT', /id/],
    ['ids that are none', { topic: 'retryDead', options: { ids: 'all' } }, 'INVALID_OPTION', /./],
    ['a wrong state', { topic: 'list', options: { state: 'tired' } }, 'INVALID_OPTION', /tired/],
    [
      'a wrong schedule',
      { topic: 'schedule', options: { name: 'a', schedule: { cron: 'often' }, message: { name: 'b' } } },
      'INVALID_OPTION',
      /often/,
    ],
    ['an unknown schedule', { topic: 'unschedule', options: { name: 'a' } }, 'NOT_FOUND', /a/],
  ]
  for (const [title, message, code, named] of wrong) {
    it(`refuses ${title}`, async () => {
      await start()
      rig.send('control', message)
      const [{ error }] = await rig.until('caught')
      assert.equal(error.code, code, error.message)
      assert.match(error.message, named)
    })
  }
})
