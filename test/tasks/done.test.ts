import assert from 'node:assert/strict'
import { brokerOf, doneOf, type Json, Rig, sendOf, workerOf } from './rig'

const error = { name: 'RangeError', message: 'too far', code: 'FAR' }

describe('millrace-tasks-done', () => {
  afterEach(() => Rig.stop())

  async function start(done: Json = {}, send: Json = {}): Promise<Rig> {
    return Rig.start(brokerOf(), sendOf({ output: 'result', ...send }), workerOf(), doneOf(done))
  }

  it('ends the task with the payload, and passes the message on', async () => {
    const rig = await start()
    rig.send('send', { payload: [1, 2] })
    const [task] = await rig.until('task')
    rig.send('done', { ...task, payload: 3 })
    assert.equal((await rig.until('sent'))[0].payload, 3)
    assert.equal((await rig.until('recorded'))[0]._msgid, task._msgid)
    const status = (wanted: string) =>
      rig.find('status', ({ id, shape, text }) => id === 'done' && shape === wanted && text === 'status.recorded')
    await status('ring')
    await status('dot')
  })

  it('finds the task by its id alone', async () => {
    const rig = await start()
    rig.send('send', {})
    const [{ tasks }] = await rig.until('task')
    rig.send('done', { tasks: { id: tasks.id } })
    assert.equal((await rig.until('sent'))[0].payload, null)
  })

  for (const outcome of ['auto', 'failure']) {
    it(`fails the task with the error of a Catch node: ${outcome}`, async () => {
      const rig = await start({ outcome }, { maxRetries: 0 })
      rig.send('send', {})
      const [task] = await rig.until('task')
      rig.send('done', { ...task, error })
      const [caught] = await rig.until('caught')
      assert.equal(caught.error.code, 'TASK_FAILED')
      assert.match(caught.error.message, /too far/)
    })
  }

  it('an error in the worker flow that reaches a Catch node fails the attempt', async () => {
    // It has no broker, so each message is an error.
    const breaks = sendOf({ id: 'breaks', broker: 'nowhere' })
    const rescue = { id: 'catch', type: 'catch', z: 'tab', x: 0, y: 0, scope: ['breaks'], wires: [['done']] }
    const worker = workerOf({ wires: [['task', 'breaks'], []] })
    const rig = await Rig.start(brokerOf(), sendOf({ maxRetries: 1 }), worker, breaks, rescue, doneOf())
    rig.send('send', { payload: 1 })
    const [first, second] = await rig.until('task', 2)
    await rig.until('recorded', 2)
    assert.deepEqual([second.tasks.id, second.tasks.retries], [first.tasks.id, 1])
  })

  it('policies know the type of an error that a Catch node tells', async () => {
    const rig = await start()
    rig.send('send', { options: { retry: { giveUpOn: ['TypeError', 'RangeError'] } } })
    const [first] = await rig.until('task')
    rig.send('done', { ...first, error: { message: 'TypeError: x is not a function (line 1, col 5)' } })
    assert.match((await rig.until('caught'))[0].error.message, /TypeError/)
    rig.send('send', { options: { retry: { giveUpOn: ['TypeError', 'RangeError'] } } })
    const [, second] = await rig.until('task', 2)
    rig.send('done', { ...second, error })
    assert.match((await rig.until('caught', 2))[1].error.message, /too far/)
  })

  it('asks for another attempt, after its own wait', async () => {
    const rig = await start({ outcome: 'retry', delay: 0.2 })
    rig.send('send', {})
    const [task] = await rig.until('task')
    const asked = Date.now()
    rig.send('done', task)
    const [, again] = await rig.until('task', 2)
    assert.equal(again.tasks.retries, 1)
    assert.ok(Date.now() - asked >= 200)
  })

  it('another attempt as the task says', async () => {
    const rig = await start({ outcome: 'retry' }, { maxRetries: 0 })
    rig.send('send', {})
    rig.send('done', (await rig.until('task'))[0])
    assert.equal((await rig.until('caught'))[0].error.code, 'TASK_FAILED')
  })

  const wrong: [title: string, message: Json, code: string][] = [
    ['no task', {}, 'INVALID_INPUT'],
    ['an empty task', { tasks: null }, 'INVALID_INPUT'],
    ['an unknown task', { tasks: { id: '01890000-0000-7000-8000-000000000000' } }, 'NOT_FOUND'],
  ]
  for (const [title, message, code] of wrong) {
    it(`refuses ${title}`, async () => {
      const rig = await start()
      rig.send('done', message)
      assert.equal((await rig.until('caught'))[0].error.code, code)
      assert.deepEqual(rig.seen.recorded, [])
    })
  }

  it('a result that is no JSON can still be mended; a second end comes too late', async () => {
    const rig = await start()
    rig.send('send', {})
    const [task] = await rig.until('task')
    rig.send('done', { ...task, payload: { a: 1n } })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    rig.send('done', { ...task, payload: { a: 1 } })
    await rig.until('recorded')
    assert.deepEqual((await rig.until('sent'))[0].payload, { a: 1 })
    rig.send('done', { ...task, payload: 2 })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'NOT_FOUND')
  })

  it('hears that the time of its task is over', async () => {
    const rig = await Rig.start(
      brokerOf(),
      sendOf({ output: 'result', timeout: 0.05, maxRetries: 0 }),
      workerOf(),
      doneOf(),
    )
    rig.send('send', {})
    assert.equal((await rig.until('stopped'))[0].payload, 'TIMEOUT')
    assert.equal((await rig.until('caught'))[0].error.code, 'TIMEOUT')
  })
})
