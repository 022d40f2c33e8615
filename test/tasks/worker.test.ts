import assert from 'node:assert/strict'
import { brokerOf, doneOf, Rig, sendOf, workerOf } from './rig'

describe('millrace-tasks-worker', () => {
  afterEach(() => Rig.stop())

  it('sends each task as a message that can be copied', async () => {
    const rig = await Rig.start(brokerOf(), sendOf({ queue: 'q' }), workerOf())
    rig.send('send', { payload: [5], kwargs: { unit: 'm' } })
    const [{ topic, payload, tasks }] = await rig.until('task')
    const { id, delivery, ...rest } = tasks
    assert.deepEqual([topic, payload, typeof id, typeof delivery], ['add', 5, 'string', 'string'])
    const expected = {
      name: 'add',
      queue: 'q',
      args: [5],
      kwargs: { unit: 'm' },
      headers: {},
      retries: 0,
      deliveries: 1,
    }
    assert.deepEqual(rest, expected)
    assert.deepEqual(structuredClone(tasks), tasks)
    await rig.find('status', (status) => status.id === 'worker' && status.shape === 'dot')
  })

  it('gets Buffers as they were sent', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf(), doneOf())
    const image = Buffer.alloc(2 << 20, 5)
    rig.send('send', { payload: { image } })
    const [task] = await rig.until('task')
    assert.ok(image.equals(task.payload.image))
    rig.send('done', { ...task, payload: 'seen' })
    await rig.until('recorded')
  })

  it('takes its tasks and queues, and so many at once', async () => {
    const rig = await Rig.start(
      brokerOf(),
      sendOf({ task: '' }),
      workerOf({ tasks: 'mail.*, call', queues: 'default', concurrency: 2 }),
      doneOf(),
    )
    const topics = ['other', 'mail.a', 'call', 'mail.b']
    for (const topic of topics) rig.send('send', { topic })
    rig.send('send', { topic: 'mail.c', options: { queue: 'elsewhere' } })
    await rig.until('sent', 5)
    const [first] = await rig.until('task', 2)
    const { body } = await rig.get('/millrace-tasks-broker/broker/view')
    assert.equal(body.workers[0].running, 2, 'no more than two')
    assert.equal(rig.seen.task.length, 2)
    rig.send('done', first)
    const taken = await rig.until('task', 3)
    assert.deepEqual(
      taken.map(({ topic }) => topic),
      ['mail.a', 'call', 'mail.b'],
    )
  })

  it('a flow that never answers loses its task, which goes out again; its late answer is refused', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf({ lease: 0.05 }), doneOf())
    rig.send('send', { payload: 1 })
    const [first, second] = await rig.until('task', 2)
    const [stopped] = await rig.until('stopped')
    assert.deepEqual([stopped.payload, stopped.tasks.delivery], ['TIMEOUT', first.tasks.delivery])
    assert.deepEqual([second.tasks.id, second.tasks.retries], [first.tasks.id, 1])
    rig.send('done', first)
    assert.equal((await rig.until('caught'))[0].error.code, 'NOT_FOUND')
  })

  it('progress keeps a task that takes longer than its lease', async () => {
    const rig = await Rig.start(
      brokerOf(),
      sendOf({ output: 'result' }),
      workerOf({ lease: 0.3 }),
      doneOf({ id: 'progress', outcome: 'progress' }),
      doneOf(),
    )
    rig.send('send', { payload: 1 })
    const [task] = await rig.until('task')
    for (let step = 0; step < 8; step += 1) {
      rig.send('progress', { ...task, payload: step })
      await rig.until('recorded', step + 1)
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
    rig.send('done', { ...task, payload: 'well' })
    assert.equal((await rig.until('sent'))[0].payload, 'well')
    assert.equal(rig.seen.task.length, 1)
  })

  it('takes more than it sends, and the next one begins when its turn has come', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf({ concurrency: 1, prefetch: 3 }), doneOf())
    for (const payload of [1, 2, 3, 4]) rig.send('send', { payload })
    await rig.until('sent', 4)
    const [first] = await rig.until('task')
    const { body } = await rig.get('/millrace-tasks-broker/broker/view')
    assert.deepEqual([body.workers[0].running, body.workers[0].prefetch, body.queues[0].pending], [3, 3, 1])
    assert.equal(rig.seen.task.length, 1)
    rig.send('done', first)
    const [, second] = await rig.until('task', 2)
    assert.deepEqual([second.payload, second.tasks.deliveries], [2, 1])
  })

  it('a deploy gives back what is out, and counts it as nothing', async () => {
    const nodes = [brokerOf(), sendOf(), workerOf()]
    const rig = await Rig.start(...nodes)
    rig.send('send', { payload: 1 })
    const [first] = await rig.until('task')
    await rig.redeploy('full', ...nodes)
    const [, second] = await rig.until('task', 2)
    assert.deepEqual([second.tasks.id, second.tasks.retries, second.tasks.deliveries], [first.tasks.id, 0, 1])
    assert.deepEqual(rig.seen.stopped, [])
  })

  it('a deploy of other nodes leaves it alone', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf(), doneOf())
    rig.send('send', { payload: 1 })
    const [task] = await rig.until('task')
    await rig.redeploy('nodes', brokerOf(), sendOf({ task: 'sub' }), workerOf(), doneOf())
    rig.send('done', task)
    await rig.until('recorded')
    rig.send('send', { payload: 1 })
    assert.equal((await rig.until('task', 2))[1].topic, 'sub')
  })

  it('begins so many in a second', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf({ rate: 20, concurrency: 100 }))
    const begun = performance.now()
    for (let n = 0; n < 25; n += 1) rig.send('send', { payload: n })
    await rig.until('task', 25)
    assert.ok(performance.now() - begun > 200, 'the last five have to wait')
  })
})
