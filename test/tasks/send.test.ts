import assert from 'node:assert/strict'
import { brokerOf, doneOf, type Json, Rig, sendOf, workerOf } from './rig'

/** What the worker gets goes on to the done node. */
const worked = [workerOf({ wires: [['task', 'done'], ['stopped']] }), doneOf()]

describe('millrace-tasks-send', () => {
  afterEach(() => Rig.stop())

  it('passes the message on with the id of its task', async () => {
    const rig = await Rig.start(brokerOf(), sendOf(), ...worked)
    rig.send('send', { _msgid: 'one', payload: [1, 2] })
    const [sent] = await rig.until('sent')
    assert.deepEqual([sent._msgid, sent.payload], ['one', [1, 2]])
    assert.equal((await rig.until('task'))[0].tasks.id, sent.taskId)
  })

  it('passes the result on', async () => {
    const rig = await Rig.start(brokerOf(), sendOf({ output: 'result' }), ...worked)
    rig.send('send', { payload: 'as it is' })
    const [{ payload }] = await rig.until('sent')
    assert.equal(payload, 'as it is')
    await rig.find('status', ({ id, text }) => id === 'send' && text === 'status.sent')
  })

  it('waits for so many results at most', async () => {
    Rig.settings = { nodeMessageBufferMaxLength: 2 }
    const rig = await Rig.start(brokerOf(), sendOf({ output: 'result' }), workerOf())
    for (const payload of [1, 2]) rig.send('send', { payload })
    await rig.until('task', 2)
    rig.send('send', { payload: 3 })
    const [{ error }] = await rig.until('caught')
    assert.equal(error.code, 'BUFFER_FULL')
    assert.match(error.message, /failure\.results/)
  })

  const forms: [title: string, config: Json, message: Json, expected: Json][] = [
    ['a list is the arguments', {}, { payload: [1, [2]] }, { args: [1, [2]] }],
    ['anything else is the only one', {}, { payload: { a: 1 } }, { args: [{ a: 1 }] }],
    ['nothing is none', {}, {}, { args: [] }],
    ['named arguments', {}, { payload: [], kwargs: { unit: 'm' } }, { kwargs: { unit: 'm' } }],
    ['the name is the topic', { task: '' }, { topic: 'mail.send' }, { name: 'mail.send' }],
    ['the queue', { queue: 'q' }, {}, { queue: 'q' }],
    [
      'options of the message go first',
      { queue: 'q' },
      { options: { queue: 'r', headers: { a: 1 } } },
      { queue: 'r', headers: { a: 1 } },
    ],
  ]
  for (const [title, config, message, expected] of forms) {
    it(`sends: ${title}`, async () => {
      const rig = await Rig.start(brokerOf(), sendOf(config), workerOf())
      rig.send('send', message)
      const [{ tasks }] = await rig.until('task')
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(tasks[key], value)
    })
  }

  it('a time in the options of the message goes before the pause of the node', async () => {
    const rig = await Rig.start(brokerOf(), sendOf({ countdown: 3600 }), workerOf())
    rig.send('send', { options: { eta: Date.now() } })
    await rig.until('task')
  })

  const wrong: [title: string, config: Json, message: Json, code: string, named: RegExp][] = [
    ['no name', { task: '' }, {}, 'INVALID_INPUT', /failure\.task/],
    ['what JSON cannot say', {}, { payload: { a: [new Float32Array(1)] } }, 'INVALID_INPUT', /args\[0\]\.a\[0\]/],
    ['wrong kwargs', {}, { kwargs: [1] }, 'INVALID_INPUT', /kwargs/],
    ['wrong options', {}, { options: 'x' }, 'INVALID_INPUT', /options/],
    ['a wrong option', {}, { options: { priority: 10 } }, 'INVALID_INPUT', /priority/],
    ['too much', {}, { payload: 'x'.repeat(1 << 20) }, 'TOO_LARGE', /maxPayloadBytes/],
  ]
  for (const [title, config, message, code, named] of wrong) {
    it(`refuses ${title}`, async () => {
      const rig = await Rig.start(brokerOf(), sendOf(config))
      rig.send('send', message)
      const [{ error }] = await rig.until('caught')
      assert.equal(error.code, code)
      assert.match(error.message, named)
      assert.deepEqual(rig.seen.sent, [])
    })
  }

  it('a task that fails is an error of the message', async () => {
    const config = { output: 'result', maxRetries: 0 }
    const rig = await Rig.start(brokerOf(), sendOf(config), worked[0] as Json, doneOf({ outcome: 'failure' }))
    rig.send('send', { _msgid: 'one', payload: 'why' })
    const [{ error, _msgid }] = await rig.until('caught')
    assert.deepEqual([error.code, _msgid], ['TASK_FAILED', 'one'])
    assert.match(error.message, /why/)
  })

  it('a message that waits for its result when the node closes fails', async () => {
    const rig = await Rig.start(brokerOf(), sendOf({ output: 'result' }))
    rig.send('send', { payload: 1 })
    await rig.find('status', ({ id, text }) => id === 'send' && text === 'status.awaiting')
    await Rig.halt()
    assert.deepEqual(rig.seen.sent, [])
  })

  it('does not hold more messages than Node-RED may buffer', async () => {
    const rig = await Rig.start(brokerOf(), sendOf())
    for (let n = 0; n < 10_001; n += 1) rig.send('send', { payload: n })
    assert.equal((await rig.until('caught'))[0].error.code, 'BUFFER_FULL')
    await rig.until('sent', 10_000)
  })

  it('without its broker it says so', async () => {
    const rig = await Rig.start(sendOf())
    assert.deepEqual(await rig.until('error'), ['failure.broker'])
    rig.send('send', {})
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })
})
