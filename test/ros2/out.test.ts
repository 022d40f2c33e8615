import assert from 'node:assert/strict'
import { badSettings, contextOf, inOf, type Json, openContext, outOf, Rig, ros2Suite } from './rig'

const DOMAIN = 91
const SCAN = 'sensor_msgs/msg/LaserScan'

ros2Suite('out', () => {
  afterEach(() => Rig.stop())

  const wrong: [string, Json, Json, RegExp | undefined][] = [
    ['an unknown field', {}, { payload: { dat: 'hi' } }, /\bdat\b/],
    ['a value of the wrong kind', {}, { payload: { data: 5 } }, /\bdata\b/],
    ['a wrong value deep inside', { messageType: SCAN }, { payload: { ranges: [1, 'x'] } }, /ranges\[1\]/],
    ['a list', {}, { payload: [1] }, undefined],
    ['a text', {}, { payload: 'hi' }, undefined],
    ['nothing', {}, {}, undefined],
    ['null', {}, { payload: null }, undefined],
    ['too few bytes', {}, { payload: Buffer.from([0, 1]) }, undefined],
  ]
  for (const [title, out, message, path] of wrong) {
    it(`what cannot be said is an error: ${title}`, async () => {
      const rig = await Rig.start(contextOf(DOMAIN), outOf(out))
      rig.send({ _msgid: 'one', ...message })
      const [caught] = await rig.until('caught')
      assert.equal(caught.error.code, 'INVALID_INPUT')
      assert.equal(caught._msgid, 'one')
      if (path) assert.match(caught.error.message, path)
      assert.deepEqual(rig.seen.completed, [])
    })
  }

  badSettings([
    ['no context', [outOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    [
      'a definition that is none',
      [contextOf(DOMAIN, { messages: '=== a/msg/B\n%%' }), outOf({ messageType: 'a/msg/B' })],
      'error.INVALID_OPTION',
    ],
    ['no topic', [contextOf(DOMAIN), outOf({ topic: '' })], 'error.INVALID_OPTION'],
  ])

  it('a type without a definition is said raw, and heard raw', async () => {
    const unknown = { messageType: 'a/msg/B' }
    const rig = await Rig.start(contextOf(DOMAIN), outOf(unknown), inOf({ ...unknown, output: 'raw' }))
    assert.deepEqual(await rig.until('warn'), ['warning.rawOnly'])
    const cdr = Buffer.from([0, 1, 0, 0, 7])
    rig.send({ payload: { any: 1 } }, { payload: cdr })
    const [message] = await rig.until('heard')
    assert.deepEqual([message.payload, message.ros2.type, message.ros2.stampNs], [cdr, 'a/msg/B', undefined])
    assert.equal((await rig.until('caught'))[0].error.code, 'UNKNOWN_TYPE')
    assert.deepEqual(rig.seen.error, [])
  })

  it('messages that come before the context is open are said when it is', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), outOf({ qos: 'custom', durability: 'transient-local', depth: 10 }))
    rig.send({ payload: { data: 'a' } }, { payload: { data: 5 } }, { payload: { data: 'b' } })
    await rig.until('completed', 2)
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('messages fail with the reason for which the context is not there', async () => {
    const rig = await Rig.start(contextOf(97, { interface: 'nix0' }), outOf())
    rig.send({ payload: { data: 'early' } })
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
    rig.send({ payload: { data: 'late' } })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'TRANSPORT')
    assert.equal(rig.seen.error.length, 1, 'one report for all')
  })

  it('says that a subscription cannot hear', async () => {
    const { context } = await openContext(DOMAIN, 'other')
    const subscription = context.subscribe('/t', 'std_msgs/msg/String', () => {}, { qos: { reliability: 'reliable' } })
    const rig = await Rig.start(contextOf(DOMAIN), outOf({ qos: 'sensor' }))
    await rig.find('status', (one) => one.text === 'status.mismatch.reliability')
    assert.deepEqual(await rig.until('warn'), ['mismatch.reliability'])
    await subscription.close()
    await context.close()
  })
})
