import assert from 'node:assert/strict'
import { brokerOf, doneOf, type Json, Rig, workerOf, workflowOf } from './rig'

/** A worker flow that adds numbers, and lists of them. */
const adds = [
  workerOf({ wires: [['add'], ['stopped']] }),
  {
    ...{ id: 'add', type: 'function', z: 'tab', x: 0, y: 0, outputs: 1, wires: [['done', 'task']] },
    func: `if (msg.tasks.name === 'fail') throw Object.assign(new Error('broken'), { code: 'BROKEN' })
msg.payload = msg.tasks.args.flat(3).reduce((sum, each) => sum + each, 0)
return msg`,
  },
  // The helper knows one Catch node alone.
  { id: 'catch', type: 'catch', z: 'tab', x: 0, y: 0, scope: ['add', 'workflow'], wires: [['route']] },
  {
    ...{ id: 'route', type: 'function', z: 'tab', x: 0, y: 0, outputs: 2, wires: [['done'], ['caught']] },
    func: 'return msg.tasks ? [msg, null] : [null, msg]',
  },
  doneOf(),
]
const step = (task: string, more: Json = {}): Json => ({ task, argsType: 'none', ...more })
const json = (value: unknown): Json => ({ args: JSON.stringify(value), argsType: 'json' })

describe('millrace-tasks-workflow', () => {
  afterEach(() => Rig.stop())

  const start = (config: Json, nodes = adds) =>
    Rig.start(brokerOf(), workflowOf({ output: 'result', ...config }), ...nodes)

  const shapes: [title: string, config: Json, payload: unknown, expected: unknown][] = [
    ['a chain', { steps: [step('add', json([1, 2])), step('add', json(3))] }, 0, 6],
    [
      'a chain whose last step goes without',
      { steps: [step('add', json([1, 2])), step('add', { ...json(3), immutable: true })] },
      0,
      3,
    ],
    ['a group', { shape: 'group', steps: [step('add', json([1, 2])), step('add', json([3, 4]))] }, 0, [3, 7]],
    [
      'a chord',
      { shape: 'chord', callback: 'add', steps: [step('add', json([1, 2])), step('add', json([3, 4]))] },
      0,
      10,
    ],
    [
      'one for each item',
      { shape: 'group', steps: [step('add', { args: 'payload', argsType: 'msg', spread: 'map' })] },
      [1, 2, 3],
      [1, 2, 3],
    ],
    [
      'one for each list',
      { shape: 'group', steps: [step('add', { args: 'payload', argsType: 'msg', spread: 'starmap' })] },
      [[1, 2], 3],
      [3, 3],
    ],
    [
      'one for so many items',
      { shape: 'group', steps: [step('add', { args: 'payload', argsType: 'msg', spread: 'chunks', size: 2 })] },
      [1, 2, 3],
      [3, 3],
    ],
    [
      'a group in a chain',
      { steps: [step('add', { args: 'payload', argsType: 'msg', spread: 'map' }), step('add')] },
      [1, 2, 3],
      6,
    ],
    ['JSONata', { steps: [step('add', { args: '[$sum(payload), 1]', argsType: 'jsonata' })] }, [1, 2], 4],
  ]
  for (const [title, config, payload, expected] of shapes) {
    it(`sends ${title}`, async () => {
      const rig = await start(config)
      rig.send('workflow', { payload })
      assert.deepEqual((await rig.until('sent'))[0].payload, expected)
    })
  }

  it('sends what the message brings', async () => {
    const rig = await start({ shape: 'message' })
    rig.send('workflow', {
      _msgid: 'one',
      workflow: {
        chain: [
          { task: 'add', args: [1, 2] },
          { task: 'add', args: [3] },
        ],
      },
    })
    const [{ payload, _msgid }] = await rig.until('sent')
    assert.deepEqual([payload, _msgid], [6, 'one'])
  })

  it('gives the ids at once, of the parts of a group, too', async () => {
    const rig = await start({ output: 'id', shape: 'group', steps: [step('add'), step('add')] }, [workerOf()])
    rig.send('workflow', { payload: 'stays' })
    const [{ taskId, taskIds, payload }] = await rig.until('sent')
    const seen = (await rig.until('task', 2)).map(({ tasks }) => tasks.id)
    assert.deepEqual([typeof taskId, taskIds.toSorted(), payload], ['string', seen.toSorted(), 'stays'])
    await rig.find('status', ({ id, text }) => id === 'workflow' && text === 'status.sent')
  })

  it('brings queues, options and named arguments to the tasks', async () => {
    const options = JSON.stringify({ kwargs: { unit: 'm' }, headers: { from: 'here' }, priority: 7 })
    const steps = [step('add', { queue: 'q', options })]
    const rig = await start({ output: 'id', steps }, [workerOf()])
    rig.send('workflow', {})
    const [{ tasks }] = await rig.until('task')
    assert.deepEqual([tasks.queue, tasks.kwargs, tasks.headers], ['q', { unit: 'm' }, { from: 'here' }])
  })

  it('tells how far it is, and a last time at the end', async () => {
    const steps = [step('add', json([1])), step('add', json([2])), step('add', json([3]))]
    const rig = await start({ shape: 'group', steps })
    rig.send('workflow', { topic: 'sums' })
    const last = await rig.find('progress', ({ payload }) => payload.completed === 3)
    const [{ taskId }] = await rig.until('sent')
    assert.deepEqual([last.topic, last.taskId, last.payload], ['sums', taskId, { total: 3, completed: 3, failed: 0 }])
  })

  it('a failed part stops it, and the task for errors runs', async () => {
    const fails = step('fail', { options: '{"maxRetries": 0}' })
    const rig = await start({ steps: [fails, step('add')], errorTask: 'mend' })
    rig.send('workflow', { _msgid: 'one' })
    const [{ error, _msgid }] = await rig.until('caught')
    assert.deepEqual([error.code, _msgid], ['TASK_FAILED', 'one'])
    const mend = await rig.find('task', ({ topic }) => topic === 'mend')
    assert.match(JSON.stringify(mend.tasks.args), /broken/)
  })

  it('or its error stands in place of its result', async () => {
    const fails = step('fail', { options: '{"maxRetries": 0}' })
    const rig = await start({ shape: 'group', onError: 'continue', steps: [step('add', json(5)), fails] })
    rig.send('workflow', {})
    const [{ payload }] = await rig.until('sent')
    assert.deepEqual([payload[0], payload[1].error.code], [5, 'BROKEN'])
  })

  const wrong: [title: string, config: Json, message: Json, code: string, named: RegExp][] = [
    ['no steps', {}, {}, 'INVALID_WORKFLOW', /failure\.steps/],
    ['a chord without its end', { shape: 'chord', steps: [step('add')] }, {}, 'INVALID_WORKFLOW', /failure\.callback/],
    [
      'no list to go through',
      { steps: [step('add', { args: '5', argsType: 'num', spread: 'map' })] },
      {},
      'INVALID_INPUT',
      /5 is no list/,
    ],
    [
      'a list of nothing',
      { shape: 'group', steps: [step('add', { ...json([]), spread: 'map' })] },
      {},
      'INVALID_WORKFLOW',
      /empty/,
    ],
    [
      'arguments that cannot be read',
      { steps: [step('add', { args: '$error("no")', argsType: 'jsonata' })] },
      {},
      'INVALID_INPUT',
      /failure\.args/,
    ],
    [
      'what JSON cannot say',
      { steps: [step('add', { args: 'payload', argsType: 'msg' })] },
      { payload: [1n] },
      'INVALID_INPUT',
      /args/,
    ],
    ['no workflow', { shape: 'message' }, { workflow: 'add' }, 'INVALID_WORKFLOW', /failure\.workflow/],
    ['a list as a workflow', { shape: 'message' }, { workflow: [] }, 'INVALID_WORKFLOW', /./],
    [
      'a workflow that is no JSON',
      { shape: 'message' },
      { workflow: { task: 'add', args: [1n] } },
      'INVALID_INPUT',
      /workflow\.args\[0\]/,
    ],
    ['a workflow of no kind', { shape: 'message' }, { workflow: { dance: [] } }, 'INVALID_WORKFLOW', /./],
  ]
  for (const [title, config, message, code, named] of wrong) {
    it(`refuses ${title}`, async () => {
      const rig = await Rig.start(brokerOf(), workflowOf(config))
      rig.send('workflow', message)
      const [{ error }] = await rig.until('caught')
      assert.equal(error.code, code)
      assert.match(error.message, named)
      assert.deepEqual(rig.seen.sent, [])
    })
  }

  const settings: [title: string, config: Json][] = [
    ['a row without a task', { steps: [step('')] }],
    ['options that are no JSON', { steps: [step('add', { options: '{' })] }],
    ['options that are no object', { steps: [step('add', { options: '[]' })] }],
  ]
  for (const [title, config] of settings) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(brokerOf(), workflowOf(config))
      await rig.find('status', ({ id, text }) => id === 'workflow' && text === 'error.INVALID_OPTION')
    })
  }

  it('who waits for the result when the node closes is let go', async () => {
    const rig = await start({ steps: [step('add')] }, [])
    rig.send('workflow', {})
    await rig.find('status', ({ id, text }) => id === 'workflow' && text === 'status.awaiting')
    await Rig.halt()
    assert.deepEqual([rig.seen.sent, rig.seen.caught], [[], []])
  })
})
