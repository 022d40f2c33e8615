import assert from 'node:assert/strict'
import { brokerOf, doneOf, type Json, Rig, resultOf, sendOf, workerOf } from './rig'

const unknown = '01890000-0000-7000-8000-000000000000'
const sends = (more: Json = {}) => sendOf({ wires: [['result']], ...more })
const works = [workerOf({ wires: [['task', 'done'], ['stopped']] }), doneOf()]

describe('millrace-tasks-result', () => {
  afterEach(() => Rig.stop())

  it('waits for the result, and tells what is recorded', async () => {
    const rig = await Rig.start(brokerOf(), sends(), resultOf(), ...works)
    rig.send('send', { _msgid: 'one', payload: [1, 2] })
    const [{ payload, task, _msgid }] = await rig.until('sent')
    assert.deepEqual([payload, task.state, task.name, _msgid], [[1, 2], 'success', 'add', 'one'])
    await rig.find('status', ({ id, text }) => id === 'result' && text === 'status.fetched')
  })

  it('gives it as it is now, by a property of another name', async () => {
    const rig = await Rig.start(brokerOf(), sends(), resultOf({ mode: 'now', from: 'job.id' }), workerOf(), doneOf())
    rig.send('send', {})
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT', 'the id is elsewhere')
    const [task] = await rig.until('task')
    rig.send('result', { job: { id: task.tasks.id } })
    const [absent] = await rig.until('absent')
    assert.deepEqual([absent.error.code, absent.task.state], ['TIMEOUT', 'started'])
    rig.send('done', { ...task, payload: 5 })
    await rig.until('recorded')
    rig.send('result', { job: { id: task.tasks.id } })
    assert.equal((await rig.until('sent'))[0].payload, 5)
  })

  it('does not wait longer than it may', async () => {
    const rig = await Rig.start(brokerOf(), sends(), resultOf({ timeout: 0.05 }))
    rig.send('send', { payload: 'stays' })
    const [{ error, payload }] = await rig.until('absent')
    assert.deepEqual([error.code, payload], ['TIMEOUT', 'stays'])
  })

  const ends: [title: string, wires: string[][], event: 'absent' | 'caught'][] = [
    ['the second output', [['sent'], ['absent']], 'absent'],
    ['a Catch node, where nothing is wired there', [['sent'], []], 'caught'],
  ]
  for (const [title, wires, event] of ends) {
    it(`a task that failed goes to ${title}`, async () => {
      const fails = [works[0] as Json, doneOf({ outcome: 'failure' })]
      const rig = await Rig.start(brokerOf(), sends({ maxRetries: 0 }), resultOf({ wires }), ...fails)
      rig.send('send', { payload: 'why' })
      const [{ error, task }] = await rig.until(event)
      assert.deepEqual([error.code, task.state], ['TASK_FAILED', 'dead'])
      assert.match(error.message, /why/)
      assert.deepEqual(rig.seen[event === 'absent' ? 'caught' : 'absent'], [])
    })
  }

  it('nobody knows it', async () => {
    const rig = await Rig.start(brokerOf(), resultOf({ mode: 'now' }))
    rig.send('result', { taskId: unknown })
    assert.equal((await rig.until('absent'))[0].error.code, 'NOT_FOUND')
  })

  for (const taskId of [undefined, 5, '', 'no id']) {
    it(`refuses the id ${taskId}`, async () => {
      const rig = await Rig.start(brokerOf(), resultOf())
      rig.send('result', { taskId })
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    })
  }

  it('does not hold more messages than Node-RED may buffer', async () => {
    const result = resultOf({ timeout: '', wires: [['sent'], []] })
    const rig = await Rig.start(brokerOf(), sends({ wires: [['sent']] }), result)
    rig.send('send', {})
    const [{ taskId }] = await rig.until('sent')
    for (let n = 0; n < 10_001; n += 1) rig.send('result', { taskId })
    assert.equal((await rig.until('caught'))[0].error.code, 'BUFFER_FULL')
    await Rig.halt()
    assert.equal(rig.seen.caught.length, 1, 'who waits is let go quietly')
  })
})
