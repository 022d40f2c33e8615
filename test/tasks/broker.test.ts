import assert from 'node:assert/strict'
import { brokerOf, doneOf, Rig, sendOf, workerOf } from './rig'

describe('millrace-tasks-broker', () => {
  afterEach(() => Rig.stop())

  it('is shared by all nodes, and shows what it holds', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), workerOf({ name: 'mill', queues: 'other' }), doneOf())
    rig.send('send', { payload: [1, 2] })
    await rig.until('sent')
    await rig.find('status', ({ id, text }) => id === 'worker' && text === 'status.working')
    const { body } = await rig.get('/millrace-tasks-broker/broker/view')
    assert.deepEqual(
      body.queues.map((queue: { name: string; pending: number }) => [queue.name, queue.pending]),
      [['default', 1]],
    )
    assert.deepEqual(
      body.workers.map((worker: { name: string }) => worker.name),
      ['mill'],
    )
    assert.equal((await rig.get('/millrace-tasks-broker/nowhere/view')).body, null)
  })

  it('keeps tasks over the end of the flows', async () => {
    const before = await Rig.start(brokerOf({ path: 'a/b', durability: 'fsync' }), sendOf())
    before.send('send', { payload: [1, 2] })
    const [{ taskId }] = await before.until('sent')
    await Rig.halt()
    const rig = await Rig.start(brokerOf({ path: 'a/b' }), workerOf())
    const [{ payload, tasks }] = await rig.until('task')
    assert.deepEqual([payload, tasks.id, tasks.retries], [[1, 2], taskId, 0])
  })

  it('a folder that another broker has is an error for now; a wrong setting is one for good', async () => {
    const nodes = [
      brokerOf(),
      brokerOf({ id: 'second' }),
      brokerOf({ id: 'wrong', durability: 'never' }),
      workerOf(),
      sendOf({ broker: 'second' }),
      sendOf({ id: 'lost', broker: 'wrong' }),
    ]
    const rig = await Rig.start(...nodes)
    await rig.find('status', ({ id, text }) => id === 'worker' && text === 'status.working')
    rig.send('send', { payload: 1 })
    assert.equal((await rig.until('caught'))[0].error.code, 'STORE_LOCKED')
    await rig.redeploy('nodes', ...nodes, workerOf({ id: 'late', broker: 'second' }))
    const status = await rig.find('status', ({ id, fill }) => id === 'late' && fill === 'yellow')
    assert.equal(status.text, 'error.STORE_LOCKED')
    assert.equal((await rig.get('/millrace-tasks-broker/second/view')).body.code, 'STORE_LOCKED')
    await rig.find('status', ({ id, text }) => id === 'wrong' && text === 'error.INVALID_OPTION')
    rig.send('lost', { payload: 1 })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'INVALID_OPTION')
  })
})
