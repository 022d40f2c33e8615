import assert from 'node:assert/strict'
import { brokerOf, doneOf, eventsOf, type Json, Rig, sendOf, workerOf } from './rig'

const works = [workerOf({ name: 'mill', wires: [['task', 'done'], ['stopped']] }), doneOf()]

describe('millrace-tasks-events', () => {
  afterEach(() => Rig.stop())

  /** When the node hears, as its status says. */
  async function start(config: Json, ...nodes: Json[]): Promise<Rig> {
    const rig = await Rig.start(brokerOf(), eventsOf(config), sendOf({ task: '' }), ...nodes)
    await rig.find('status', ({ id, text }) => id === 'events' && text === 'status.heard')
    return rig
  }

  it('tells what happens to a task', async () => {
    const rig = await start({ tasks: 'add' }, ...works)
    rig.send('send', { topic: 'add', payload: 1 })
    const last = await rig.find('event', ({ topic }) => topic === 'succeeded')
    const [{ taskId }] = await rig.until('sent')
    const kinds = rig.seen.event.map(({ topic }) => topic)
    assert.deepEqual(kinds, ['sent', 'received', 'started', 'succeeded'])
    assert.deepEqual([last.payload.id, last.payload.name, last.payload.queue], [taskId, 'add', 'default'])
  })

  const filters: [title: string, config: Json, expected: string[]][] = [
    ['kinds', { kinds: 'sent' }, ['sent mail.a q1', 'sent mail.b q2', 'sent call q1', 'sent end q9']],
    ['tasks', { kinds: 'sent,revoked', tasks: 'mail.*, end' }, ['sent mail.a q1', 'sent mail.b q2', 'sent end q9']],
    ['queues', { queues: 'q?' }, ['sent mail.a q1', 'sent mail.b q2', 'sent call q1', 'sent end q9']],
    ['both', { tasks: '*', queues: 'q2,q9' }, ['sent mail.b q2', 'sent end q9']],
    ['a pattern that only looks like one', { tasks: 'mail+a, end' }, ['sent end q9']],
  ]
  for (const [title, config, expected] of filters) {
    it(`chooses by ${title}`, async () => {
      const rig = await start(config)
      for (const [topic, queue] of [
        ['mail.a', 'q1'],
        ['mail.b', 'q2'],
        ['call', 'q1'],
        ['end', 'q9'],
      ]) {
        rig.send('send', { topic, options: { queue } })
      }
      await rig.find('event', ({ payload }) => payload.name === 'end')
      const seen = rig.seen.event.map(({ payload }) => `${payload.event} ${payload.name} ${payload.queue}`)
      assert.deepEqual(seen, expected)
    })
  }

  it('tells of workers', async () => {
    const rig = await start({ kinds: 'worker-online' })
    await rig.redeploy('nodes', brokerOf(), eventsOf({ kinds: 'worker-online' }), sendOf({ task: '' }), ...works)
    assert.equal((await rig.until('event'))[0].payload.worker, 'mill')
  })

  it('a node that is gone hears nothing any more', async () => {
    const rig = await start({})
    await rig.redeploy('nodes', brokerOf(), sendOf({ task: '' }))
    rig.send('send', { topic: 'add' })
    await rig.until('sent')
    assert.deepEqual(rig.seen.event, [])
  })

  it('an unknown kind is a wrong setting', async () => {
    const rig = await Rig.start(brokerOf(), eventsOf({ kinds: 'sent,eaten' }))
    await rig.find('status', ({ id, text }) => id === 'events' && text === 'error.INVALID_OPTION')
  })

  it('opens when another lets go of the store', async () => {
    const second = brokerOf({ id: 'second' })
    const rig = await start({}, second)
    await rig.redeploy(
      'nodes',
      brokerOf(),
      sendOf({ task: '' }),
      eventsOf(),
      second,
      eventsOf({ id: 'late', broker: 'second' }),
    )
    await rig.find('status', ({ id, text }) => id === 'late' && text === 'error.STORE_LOCKED')
    await rig.redeploy('nodes', second, eventsOf({ id: 'late', broker: 'second' }))
    await rig.find('status', ({ id, text }) => id === 'late' && text === 'status.heard')
  })
})
