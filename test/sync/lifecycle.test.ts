import assert from 'node:assert/strict'
import { mock } from 'node:test'
import helper from 'node-red-node-test-helper'
import { at, flowOf, type Json, MS, quiet, Rig, topics, watchTimers } from './rig'

describe('millrace-sync: the form of its messages', () => {
  afterEach(Rig.stop)

  it('a group is the first message, with payloads passed by reference', async () => {
    const rig = await Rig.start()
    const [image, scan] = [Buffer.alloc(8_000_000), { points: [1] }]
    const first = at('a', 1.5, { payload: image, camera: 'left' })
    rig.send(first, at('b', 1, { payload: scan }), at('b', 50))
    const [group] = await rig.until('group')
    assert.ok(group === first)
    assert.equal(group.payload.a, image)
    assert.equal(group.payload.b, scan)
    assert.equal(group._msgid, 'a1.5')
    assert.equal(group.camera, 'left')
    assert.ok(!('topic' in group))
    assert.deepEqual(group.sync, {
      timestampNs: String(1n * MS),
      skewMs: 0.5,
      topics: ['a', 'b'],
      stamps: { a: '1500000', b: '1000000' },
    })
  })

  it('a message without a group is unchanged but for its reason', async () => {
    const rig = await Rig.start()
    const message = at('a', 0, { payload: { frame: 1 }, sync: { timestampNs: '7' }, kept: true })
    const before = structuredClone(message)
    rig.send(message, { reset: true })
    const [out] = await rig.until('reject')
    assert.equal(out, message)
    assert.deepEqual(out, { ...before, sync: { timestampNs: '7', reason: 'reset' } })
  })

  it('a group can be the input of another sync node', async () => {
    const second = {
      id: 'second',
      z: 'tab',
      type: 'millrace-sync',
      topics: topics('pair', 'c'),
      topicFrom: 'topic ? topic : "pair"',
      topicFromType: 'jsonata',
      stampFrom: 'sync.timestampNs',
      stampFromType: 'msg',
      wires: [['group'], ['reject']],
    }
    const rig = await Rig.start({ wires: [['second'], []] }, { more: [second] })
    rig.send(at('a', 5), at('b', 5))
    helper.getNode('second').receive({ topic: 'c', payload: 'c5', sync: { timestampNs: '5000000' } } as never)
    const [group] = await rig.until('group')
    assert.deepEqual(group.payload, { pair: { a: 'a5', b: 'b5' }, c: 'c5' })
  })
})

describe('millrace-sync: time', () => {
  afterEach(async () => {
    mock.reset()
    await Rig.stop()
  })

  it('a group that waits for proof leaves after maxDelayMs, without another message', async () => {
    const rig = await Rig.start({ maxDelayMs: 20 })
    rig.send(at('a', 0), at('b', 10))
    const [group] = await rig.until('group')
    assert.deepEqual(group.payload, { a: 'a0', b: 'b10' })
    await rig.until('completed', 2)
  })

  it('the longest maxDelayMs makes no timer that fires at once', async () => {
    const timers = mock.method(globalThis, 'setTimeout')
    const rig = await Rig.start({ maxDelayMs: 3_155_760_000_000 })
    rig.send(at('a', 0), at('b', 10))
    await quiet()
    const delays = timers.mock.calls.map((call) => Number(call.arguments[1]))
    assert.ok(delays.some((delay) => delay > 1e9))
    assert.ok(delays.every((delay) => delay < 2 ** 31))
  })

  it('messages of one arrival are never of the same time', async () => {
    const rig = await Rig.start({ stampFromType: 'arrival' })
    const sent = ['a', 'b', 'a', 'b', 'a', 'b']
    rig.send(...sent.map((topic) => ({ topic, payload: topic })), { flush: true })
    await rig.until('completed', sent.length + 1)
    assert.deepEqual(rig.seen.caught, [])
    const stamps = rig.seen.group.flatMap((group) => Object.values(group.sync.stamps) as string[])
    assert.equal(new Set(stamps).size, stamps.length)
    assert.ok(stamps.length >= 4)
  })

  it('a stall is warned of once, shows the topic, and ends with the next group', async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const rig = await Rig.start({ stallMs: 0.000001 })
    rig.send(at('a', 0), at('a', 100))
    await quiet()
    for (let check = 0; check < 3; check += 1) mock.timers.tick(1000)
    assert.equal(rig.seen.warn.length, 1)
    const stalled = await rig.status(({ text }) => text === 'status.stalled')
    assert.deepEqual([stalled.fill, stalled.shape], ['yellow', 'ring'])
    rig.send(at('b', 100))
    await rig.until('group')
    const running = await rig.status(({ text }) => text === 'status.counts')
    assert.deepEqual([running.fill, running.shape], ['green', 'dot'])
  })

  it('a clock that jumped is warned of, with its topic', async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const rig = await Rig.start()
    rig.send(at('a', 10_000), at('b', 10_000), at('a', 1))
    await quiet()
    for (let check = 0; check < 3; check += 1) mock.timers.tick(1000)
    assert.deepEqual(rig.seen.warn.length, 1)
  })

  it('topics that do not show themselves are warned of while learning', async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const rig = await Rig.start({ topics: [], learn: 2, stallMs: 0.000001 })
    rig.send(at('a', 0), at('a', 100))
    await quiet()
    for (let check = 0; check < 3; check += 1) mock.timers.tick(1000)
    assert.deepEqual(rig.seen.warn.length, 1)
  })

  it('a stall can be left unreported', async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const rig = await Rig.start({ stallMs: '' })
    rig.send(at('a', 0), at('a', 100))
    await quiet()
    mock.timers.tick(60_000)
    assert.deepEqual(rig.seen.warn, [])
  })
})

describe('millrace-sync: limits', () => {
  afterEach(Rig.stop)

  it('nodeMessageBufferMaxLength bounds the buffers, live options included', async () => {
    helper.settings({ nodeMessageBufferMaxLength: 8 } as never)
    const rig = await Rig.start()
    rig.send({ sync: { bufferSize: 1000 } }, ...[0, 1, 2, 3, 4, 5].map((ms) => at('a', ms)))
    await rig.until('reject', 2)
    await quiet()
    assert.deepEqual(rig.reasons(), ['a0 full', 'a1 full'])
  })

  it('a wrong live buffer stays wrong under nodeMessageBufferMaxLength', async () => {
    helper.settings({ nodeMessageBufferMaxLength: 8 } as never)
    const rig = await Rig.start()
    rig.send({ sync: { bufferSize: 1 } })
    await rig.until('caught')
    assert.deepEqual(rig.codes(), ['INVALID_OPTION'])
  })

  it('the route offers the topics that were seen, and null for an unknown node', async () => {
    const rig = await Rig.start()
    rig.send(at('b', 0), at('a', 0), at('c', 0))
    await rig.until('completed', 3)
    const answer = async (id: string) => (await helper.request().get(`/millrace-sync/${id}/topics`).expect(200)).body
    assert.deepEqual(await answer('sync'), ['a', 'b', 'c'])
    assert.equal(await answer('nobody'), null)
    rig.send(...Array.from({ length: 300 }, (_, number) => at(`topic${number}`, 0)))
    await rig.until('completed', 303)
    assert.equal((await answer('sync')).length, 200)
  })
})

describe('millrace-sync: settings', () => {
  afterEach(Rig.stop)

  const wrong: [title: string, config: Json][] = [
    ['a window below zero', { windowMs: -1 }],
    ['a window of zero', { windowMs: 0 }],
    ['a word for a number', { bufferSize: 'many' }],
    ['half a message', { bufferSize: 2.5 }],
    ['a buffer of one', { bufferSize: 1 }],
    ['an unknown choice', { match: 'closest' }],
    ['a topic twice', { topics: topics('a', 'a') }],
    ['a topic without a name', { topics: topics('') }],
    ['no required topic', { topics: [{ topic: 'a', required: false, minPeriodMs: '' }] }],
    ['topics that are no list', { topics: 'a' }],
    ['a period of zero', { topics: [{ topic: 'a', required: true, minPeriodMs: 0 }] }],
    ['no topic to learn', { topics: [], learn: 0 }],
    ['JSONata with an error', { topicFrom: '(((', topicFromType: 'jsonata' }],
    ['JSONata with an error in the timestamp', { stampFrom: '1 +', stampFromType: 'jsonata' }],
    ['no property of the message', { topicFrom: '' }],
    ['no property for the timestamp', { stampFrom: '', stampFromType: 'msg' }],
    ['a version that is newer than this package', { configVersion: 99 }],
  ]
  for (const [title, config] of wrong) {
    it(`${title} shows red, is logged once, and fails every message`, async () => {
      const rig = await Rig.start(config)
      rig.send(at('a', 0), { reset: true })
      await rig.until('caught', 2)
      assert.deepEqual(rig.codes(), ['INVALID_OPTION', 'INVALID_OPTION'])
      assert.equal(rig.seen.error.length, 1)
      assert.deepEqual(rig.seen.status, [{ fill: 'red', shape: 'ring', text: 'error.INVALID_OPTION' }])
    })
  }

  it('the message names the setting and the value', async () => {
    const rig = await Rig.start({ bufferSize: 'many' })
    const [logged] = await rig.until('error')
    assert.match(logged, /bufferSize.*'many'/)
  })

  it('variables of the flow fill numbers, choices and parts of texts, in rows, too', async () => {
    const env = [
      { name: 'WINDOW', value: '5', type: 'num' },
      { name: 'SIZE', value: '2', type: 'str' },
      { name: 'MATCH', value: 'oldest', type: 'str' },
      { name: 'ROBOT', value: 'r2', type: 'str' },
    ]
    const rows = topics(`\${ROBOT}/left`, `/\${ROBOT}/right`)
    const config = { windowMs: `\${WINDOW}`, bufferSize: `\${SIZE}`, match: `\${MATCH}`, topics: rows }
    const rig = await Rig.start(config, { env })
    rig.send(at('r2/left', 0), at('r2/left', 1), at('r2/left', 2), at('/r2/right', 1))
    await rig.until('group')
    assert.deepEqual(rig.payloads('group'), [{ 'r2/left': 'r2/left1', '/r2/right': '/r2/right1' }])
    assert.deepEqual(rig.reasons(), ['r2/left0 full'])
  })
})

describe('millrace-sync: closing', () => {
  afterEach(async () => {
    mock.reset()
    await Rig.stop()
  })

  it('completes what it holds, sends nothing more, and leaves no timer', async () => {
    const timers = watchTimers()
    const rig = await Rig.start({ maxDelayMs: 60_000 })
    rig.send(at('a', 0), at('b', 10), at('b', 500))
    await quiet()
    assert.ok(timers.live() > 0)
    const old = rig.node
    await rig.redeploy({ windowMs: 20 })
    assert.notEqual(rig.node, old)
    await rig.until('completed', 3)
    await quiet()
    assert.deepEqual([...rig.seen.group, ...rig.seen.reject, ...rig.seen.caught], [])
    // The new node's own.
    const before = timers.live()
    await rig.redeploy({ windowMs: 30 })
    assert.equal(timers.live(), before)
    await helper.clearFlows()
    assert.equal(timers.live(), 0)
    timers.stop()
  })

  it('completes what JSONata still evaluates, and what comes late', async () => {
    const rig = await Rig.start({ topicFrom: 'topic', topicFromType: 'jsonata' })
    const old = rig.node
    rig.send(at('a', 0), at('b', 0), { _msgid: 'flush', flush: true })
    const closed = old.close(false)
    await Promise.all([rig.until('completed', 3), closed])
    const shown = rig.seen.status.length
    old.receive(at('a', 1))
    await quiet()
    assert.deepEqual([...rig.seen.group, ...rig.seen.reject, ...rig.seen.caught], [])
    assert.equal(rig.seen.status.length, shown)
  })

  it('goes on after a deploy that leaves it alone', async () => {
    const rig = await Rig.start()
    rig.send(at('a', 0))
    await quiet()
    const other = { id: 'other', z: 'tab', type: 'helper', wires: [] }
    await rig.redeploy({}, { more: [other] })
    rig.send(at('b', 0))
    await rig.until('group')
    assert.deepEqual(rig.payloads('group'), [{ a: 'a0', b: 'b0' }])
  })

  it('notices that output 2 was wired or unwired', async () => {
    const rig = await Rig.start({}, { rejects: false })
    rig.send(at('c', 0))
    await rig.until('caught')
    await rig.redeploy({}, { rejects: true }, 'flows')
    rig.send(at('c', 0))
    await rig.until('reject')
    assert.equal(rig.seen.caught.length, 1)
  })

  it('starts from an old flow that lacks newer settings', async () => {
    assert.ok(!('windowMs' in (flowOf({})[1] as Json)))
    const rig = await Rig.start()
    rig.send(at('a', 0), at('b', 51), at('a', 60))
    await rig.until('reject')
    assert.deepEqual(rig.reasons(), ['a0 unmatched'])
  })
})
