import assert from 'node:assert/strict'
import helper from 'node-red-node-test-helper'
import type { ros2 } from '../../nodes'
import { badSettings, contextOf, inOf, type Json, openContext, outOf, Rig, ros2Suite, type Seen } from './rig'

const DOMAIN = 90
const stamp = { sec: 1_700_000_000, nanosec: 123_456_789 }
const header = { stamp, frame_id: 'map' }
const stampNs = '1700000000123456789'
const INT64 = 'std_msgs/msg/Int64'
const POINT = 'geometry_msgs/msg/PointStamped'
const point = { header, point: { x: 1, y: 2, z: 3 } }
const hello = Buffer.from([0, 1, 0, 0, 3, 0, 0, 0, 0x68, 0x69, 0])

/** `string name` and a header. */
const late = Buffer.from(`00010000${'04000000'}${'61626300'}00f15365${'15cd5b07'}04000000${'6d617000'}`, 'hex')
const unmoved = { translation: { x: 0, y: 0, z: 0 }, rotation: { x: 0, y: 0, z: 0, w: 1 } }

interface Case {
  title: string
  type?: string
  context?: Json
  in?: Json
  out?: Json
  payload: unknown
  heard: unknown
  /** What `msg.ros2.stampNs` is. */
  stampNs?: string
  topic?: string
}

const cases: Case[] = [
  { title: 'an object', payload: { data: 'hi' }, heard: { data: 'hi' } },
  { title: 'missing fields have their defaults', payload: {}, heard: { data: '' } },
  { title: 'raw CDR comes in', payload: hello, heard: { data: 'hi' } },
  { title: 'raw CDR goes out', in: { output: 'raw' }, payload: { data: 'hi' }, heard: hello },
  { title: 'decoded when asked for', in: { output: 'lazy' }, payload: { data: 'hi' }, heard: { data: 'hi' } },
  { title: 'the stamp of a header', type: POINT, payload: point, heard: point, stampNs },
  { title: 'the header alone', type: POINT, in: { output: 'header' }, payload: point, heard: header, stampNs },
  {
    title: 'the stamp of raw CDR',
    type: POINT,
    in: { output: 'raw' },
    payload: Buffer.from(`0001000000f15365${'15cd5b07'}04000000${'6d617000'}${'00'.repeat(24)}`, 'hex'),
    heard: Buffer.from(`0001000000f15365${'15cd5b07'}04000000${'6d617000'}${'00'.repeat(24)}`, 'hex'),
    stampNs,
  },
  { title: '64 bits as bigint', type: INT64, payload: { data: 5 }, heard: { data: 5n } },
  { title: '64 bits as text', type: INT64, in: { int64: 'string' }, payload: { data: 5n }, heard: { data: '5' } },
  {
    title: 'arrays as bytes',
    type: 'std_msgs/msg/Float32MultiArray',
    in: { arrays: 'buffers' },
    payload: { data: [1, 2] },
    heard: { layout: { dim: [], data_offset: 0 }, data: Buffer.from('0000803f00000040', 'hex') },
  },
  {
    title: 'a type of its own',
    type: 'my_msgs/msg/Speed',
    context: { messages: '=== my_msgs/msg/Speed\nfloat64 value\nLevel level\n=== my_msgs/msg/Level\nuint8 of' },
    payload: { value: 1.5, level: { of: 3 } },
    heard: { value: 1.5, level: { of: 3 } },
  },
  {
    title: 'a header that is not at the beginning',
    type: 'my_msgs/msg/Late',
    context: { messages: '=== my_msgs/msg/Late\nuint8 level\nstd_msgs/Header header' },
    in: { output: 'header' },
    payload: { level: 1, header },
    heard: header,
    stampNs,
  },
  ...['raw', 'lazy'].map((output) => ({
    title: `the stamp behind a text, not decoded: ${output}`,
    type: 'my_msgs/msg/Late',
    context: { messages: '=== my_msgs/msg/Late\nstring name\nstd_msgs/Header header' },
    in: { output },
    payload: late,
    heard: output === 'raw' ? late : { name: 'abc', header },
    stampNs,
  })),
  {
    title: 'the stamp of the first of a list',
    type: 'tf2_msgs/msg/TFMessage',
    payload: { transforms: [{ header, child_frame_id: 'robot', transform: unmoved }] },
    heard: { transforms: [{ header, child_frame_id: 'robot', transform: unmoved }] },
    stampNs,
  },
  {
    title: 'names are within the namespace',
    context: { namespace: '/robot' },
    in: { topic: 'chat' },
    out: { topic: '/robot/chat' },
    payload: { data: 'hi' },
    heard: { data: 'hi' },
    topic: '/robot/chat',
  },
  { title: 'a short type name', type: 'std_msgs/String', payload: { data: 'hi' }, heard: { data: 'hi' } },
  {
    title: 'each value of the quality by itself',
    in: {
      qos: 'custom',
      reliability: 'reliable',
      durability: 'transient-local',
      history: 'keep-all',
      deadlineMs: '900',
    },
    out: {
      ...{ qos: 'custom', reliability: 'reliable', durability: 'transient-local', history: 'keep-all' },
      ...{ deadlineMs: '800', lifespanMs: '100000', leaseMs: '1000' },
    },
    payload: { data: 'hi' },
    heard: { data: 'hi' },
  },
]

const heardOf = ({ topic, payload }: Seen): Seen => ({ topic, payload })

ros2Suite('in', () => {
  afterEach(() => Rig.stop())

  for (const one of cases) {
    it(`what one says the other hears: ${one.title}`, async () => {
      const type = one.type && { messageType: one.type }
      const rig = await Rig.start(contextOf(DOMAIN, one.context), outOf({ ...type, ...one.out }))
      rig.send({ payload: one.payload })
      await rig.until('completed')
      await rig.redeploy(contextOf(DOMAIN, one.context), outOf({ ...type, ...one.out }), inOf({ ...type, ...one.in }))
      const [message] = await rig.until('heard')
      assert.deepEqual(heardOf(message), { topic: one.topic ?? '/t', payload: one.heard })
      assert.equal(message.ros2.stampNs, one.stampNs)
      assert.match(message.ros2.publisher, /^[0-9a-f]{32}$/)
      assert.match(message.ros2.receivedNs, /^\d{19}$/)
      assert.equal(message.ros2.type.split('/').length, 3)
      assert.deepEqual([rig.seen.caught, rig.seen.error, rig.seen.warn], [[], [], []])
    })
  }

  it('a lazy payload is decoded once, stays an object in a copy, and can be replaced', async () => {
    const second = { id: 'second', type: 'helper', z: 'tab', x: 0, y: 0, wires: [] }
    const rig = await Rig.start(
      ...[contextOf(DOMAIN), outOf(), second],
      inOf({ output: 'lazy', wires: [['sink', 'second', 'sink']] }),
    )
    rig.send({ payload: { data: 'hi' } })
    const [original, copy] = await rig.until('heard', 2)
    assert.equal(typeof Object.getOwnPropertyDescriptor(copy, 'payload')?.value, 'object')
    assert.deepEqual(original.payload, { data: 'hi' })
    assert.equal(original.payload, original.payload)
    assert.deepEqual(copy.payload, { data: 'hi' })
    original.payload = 5
    assert.equal(original.payload, 5)
    assert.deepEqual(JSON.parse(JSON.stringify(copy)).payload, { data: 'hi' })
  })

  it('a lazy payload waits to be asked', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), outOf(), inOf({ output: 'lazy' }))
    rig.send({ payload: { data: 'hi' } })
    const [message] = await rig.until('heard')
    assert.equal(typeof Object.getOwnPropertyDescriptor(message, 'payload')?.get, 'function')
    message.payload = { data: 'new' }
    assert.deepEqual(message.payload, { data: 'new' })
  })

  const undecodable: [string, string][] = [
    ['object', POINT],
    ['header', POINT],
  ]
  for (const [output, messageType] of undecodable) {
    it(`a message that cannot be decoded is an error, and the next one is heard: ${output}`, async () => {
      const rig = await Rig.start(contextOf(DOMAIN), outOf({ messageType }), inOf({ messageType, output }))
      rig.send({ payload: Buffer.from([0, 1, 0, 0, 1]) })
      const [caught] = await rig.until('caught')
      assert.equal(caught.error.code, 'INVALID_INPUT')
      assert.equal(caught.error.source.id, 'in')
      rig.send({ payload: point })
      await rig.until('heard')
    })
  }

  it('a lazy payload that cannot be decoded is an error when it is asked for', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), outOf(), inOf({ output: 'lazy' }))
    rig.send({ payload: Buffer.from([0, 1, 0, 0, 1]) })
    const [message] = await rig.until('heard')
    assert.equal(message.payload, undefined)
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  badSettings([
    ['no context', [inOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['an unknown type', [contextOf(DOMAIN), inOf({ messageType: 'a/msg/B' })], 'error.UNKNOWN_TYPE'],
    ['no topic', [contextOf(DOMAIN), inOf({ topic: '' })], 'error.INVALID_OPTION'],
    ['a topic that is no name', [contextOf(DOMAIN), inOf({ topic: '/a b' })], 'error.INVALID_OPTION'],
    ['a type that is no name', [contextOf(DOMAIN), inOf({ messageType: 'String' })], 'error.INVALID_OPTION'],
    ['a header that is not there', [contextOf(DOMAIN), inOf({ output: 'header' })], 'error.INVALID_OPTION'],
    ['a preset that is not there', [contextOf(DOMAIN), inOf({ qos: 'best' })], 'error.INVALID_OPTION'],
    ['a depth of nothing', [contextOf(DOMAIN), inOf({ qos: 'custom', depth: '0' })], 'error.INVALID_OPTION'],
  ])

  it('of many messages the latest of a while is heard', async () => {
    const qos = { qos: 'custom', reliability: 'reliable', durability: 'transient-local', history: 'keep-all' }
    const rig = await Rig.start(contextOf(DOMAIN), outOf(qos), inOf({ ...qos, maxPerSecond: '5' }))
    const sent = Array.from({ length: 100 }, (_, place) => ({ payload: { data: `${place}` } }))
    rig.send(...sent)
    const messages = await rig.until('heard', 2)
    assert.equal(messages.at(-1).payload.data, '99')
  })

  it('no more messages wait for the flow than Node-RED lets a node hold', async () => {
    helper.settings({ nodeMessageBufferMaxLength: 3 } as never)
    const all = { qos: 'custom', reliability: 'reliable', durability: 'transient-local', history: 'keep-all' }
    const rig = await Rig.start(contextOf(DOMAIN), outOf(all), inOf(all))
    await rig.find('status', (one) => one.id === 'out' && one.text === 'status.sent' && one.fill === 'green')
    // In one turn of the event loop: nothing is taken meanwhile.
    rig.send(...Array.from({ length: 50 }, (_, place) => ({ payload: { data: `${place}` } })))
    const heard = (await rig.until('heard', 3)).map(({ payload }) => payload.data)
    assert.deepEqual(heard, ['47', '48', '49'])
    await rig.find('status', (one) => one.id === 'in' && one.text === 'status.dropping')
  })

  const refused: [string, Json, Partial<ros2.Qos>, string?][] = [
    ['reliability', { reliability: 'reliable' }, {}],
    ['durability', { durability: 'transient-local' }, {}],
    ['deadline', { deadlineMs: '10' }, {}],
    ['liveliness', { liveliness: 'manual-by-topic' }, {}],
    ['liveliness', { leaseMs: '10' }, { leaseMs: 20 }],
    ['type', {}, {}, 'std_msgs/msg/Bool'],
  ]
  for (const [reason, wanted, offered, type = 'std_msgs/msg/String'] of refused) {
    it(`says that a publisher cannot be heard: ${reason} ${JSON.stringify(wanted)}`, async () => {
      const { context } = await openContext(DOMAIN, 'other')
      const publisher = context.publish('/t', type, offered)
      const least = { qos: 'custom', reliability: 'best-effort', durability: 'volatile' }
      const rig = await Rig.start(contextOf(DOMAIN), inOf({ ...least, ...wanted }))
      const status = await rig.find('status', (one) => one.text === `status.mismatch.${reason}`)
      assert.equal(status.fill, 'yellow')
      assert.deepEqual(rig.seen.warn, [`mismatch.${reason}`])
      await publisher.close()
      await context.close()
    })
  }

  it('says once that a publisher cannot be heard, and no more when it is gone', async () => {
    const { context } = await openContext(DOMAIN, 'other')
    const publisher = context.publish('/t', 'std_msgs/msg/String')
    const rig = await Rig.start(contextOf(DOMAIN), inOf())
    await rig.find('status', (one) => one.text === 'status.mismatch.reliability')
    const another = context.publish('/t', 'std_msgs/msg/String')
    await publisher.close()
    await another.close()
    await rig.find('status', (one) => one.text === 'status.nobody' && rig.seen.warn.length > 0)
    assert.deepEqual(rig.seen.warn, ['mismatch.reliability'])
    await context.close()
  })

  it('shows who is there, and what flows', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), inOf())
    await rig.find('status', (one) => one.id === 'in' && one.text === 'status.nobody')
    await rig.redeploy(contextOf(DOMAIN), inOf(), outOf())
    await rig.find('status', (one) => one.id === 'in' && one.text === 'status.rate')
    await rig.find('status', (one) => one.id === 'out' && one.text === 'status.sent' && one.fill === 'green')
    const flow = setInterval(() => rig.send({ payload: { data: 'hi' } }), 10)
    await rig.find('status', (one) => one.id === 'in' && one.shape === 'dot')
    clearInterval(flow)
  })
})
