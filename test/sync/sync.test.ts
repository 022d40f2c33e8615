import assert from 'node:assert/strict'
import { at, type Json, quiet, Rig, topics } from './rig'

interface Case {
  title: string
  config?: Json
  /** Whether output 2 is wired. Default true. */
  rejects?: boolean
  messages: Json[]
  groups?: Record<string, string>[]
  /** `payload reason` at output 2. */
  out?: string[]
  /** Codes that a Catch node gets. */
  errors?: string[]
  /** Ids that a Complete node gets. */
  completed?: string[]
}

const pair = [at('a', 0), at('b', 0)]

const cases: Case[] = [
  {
    title: 'messages of one moment are a group, and complete with it',
    messages: [...pair, at('a', 100)],
    groups: [{ a: 'a0', b: 'b0' }],
    completed: ['a0', 'b0'],
  },
  {
    title: 'nearest takes the closest of a faster stream; the others leave through output 2',
    messages: [at('a', 0), at('a', 33), at('a', 66), at('b', 60), at('a', 99)],
    groups: [{ a: 'a66', b: 'b60' }],
    out: ['a0 unmatched', 'a33 unmatched'],
    completed: ['a0', 'a33', 'a66', 'b60'],
  },
  {
    title: 'oldest takes the first that fit, and waits for the slow stream',
    config: { match: 'oldest' },
    messages: [at('a', 0), at('a', 33), at('b', 45), at('a', 140), at('b', 141)],
    groups: [{ a: 'a0', b: 'b45' }],
    completed: ['a0', 'b45'],
  },
  {
    title: 'a message without a group is no error where output 2 is not wired',
    rejects: false,
    messages: [at('a', 0), at('b', 200)],
    completed: ['a0'],
  },
  {
    title: 'refused messages leave through output 2, each with its reason',
    messages: [...pair, at('a', 100), at('a', 90), at('b', 0), at('c', 1)],
    groups: [{ a: 'a0', b: 'b0' }],
    out: ['a90 out-of-order', 'b0 late', 'c1 unknown-topic'],
    completed: ['a0', 'b0', 'a90', 'b0', 'c1'],
  },
  {
    title: 'refused messages are errors where output 2 is not wired',
    rejects: false,
    messages: [...pair, at('a', 100), at('a', 90), at('b', 0), at('c', 1)],
    groups: [{ a: 'a0', b: 'b0' }],
    errors: ['OUT_OF_ORDER', 'LATE', 'UNKNOWN_TOPIC'],
    completed: ['a0', 'b0'],
  },
  {
    title: 'a full buffer refuses the new message',
    config: { drop: 'reject-new', bufferSize: 2 },
    rejects: false,
    messages: [at('a', 0), at('a', 10), at('a', 20)],
    errors: ['BUFFER_FULL'],
  },
  {
    title: 'a full buffer lets the oldest message go, which is no error',
    config: { bufferSize: 2 },
    rejects: false,
    messages: [at('a', 0), at('a', 10), at('a', 20)],
    completed: ['a0'],
  },
  {
    title: 'a clock that is set back is refused',
    config: { onClockJump: 'refuse' },
    rejects: false,
    messages: [at('a', 5000), at('a', 0)],
    errors: ['CLOCK_JUMP'],
  },
  {
    title: 'a clock that is set back starts anew',
    messages: [at('a', 5000), at('a', 0), at('b', 0)],
    groups: [{ a: 'a0', b: 'b0' }],
    out: ['a5000 clock-jump'],
    completed: ['a5000', 'a0', 'b0'],
  },
  {
    title: 'an equal stamp replaces the message before it',
    config: { equalStamps: 'replace' },
    messages: [at('a', 0, { payload: 'old' }), at('a', 0), at('b', 0)],
    groups: [{ a: 'a0', b: 'b0' }],
    out: ['old replaced'],
    completed: ['a0', 'a0', 'b0'],
  },
  {
    title: 'a message leaves when it is too old in the time of the messages',
    config: { timeoutMs: 100, windowMs: '' },
    messages: [at('a', 0), at('a', 200)],
    out: ['a0 timeout'],
    completed: ['a0'],
  },
  {
    title: 'reset hands everything back and forgets the clocks',
    messages: [at('a', 500), { _msgid: 'reset', reset: true }, ...pair],
    groups: [{ a: 'a0', b: 'b0' }],
    out: ['a500 reset'],
    completed: ['a500', 'reset', 'a0', 'b0'],
  },
  {
    title: 'flush lets complete groups go and hands the rest back',
    messages: [at('a', 0), at('b', 10), at('b', 300), { _msgid: 'flush', flush: true }],
    groups: [{ a: 'a0', b: 'b10' }],
    out: ['b300 flush'],
    completed: ['b300', 'a0', 'b10', 'flush'],
  },
  {
    title: 'an optional topic does not hold up the others',
    config: { topics: [...topics('a'), { topic: 'b', required: false, minPeriodMs: 900 }] },
    messages: [...pair, at('a', 100), at('a', 200)],
    groups: [{ a: 'a0', b: 'b0' }, { a: 'a100' }, { a: 'a200' }],
    completed: ['a0', 'b0', 'a100', 'a200'],
  },
  {
    title: 'live options change the node, and their message completes',
    messages: [{ _msgid: 'live', sync: { windowMs: 5 } }, at('a', 0), at('b', 20)],
    out: ['a0 unmatched'],
    completed: ['live', 'a0'],
  },
  {
    title: 'a wrong live option is an error and changes nothing',
    messages: [
      { sync: { windowMs: -1, bufferSize: 2 } },
      { sync: { match: 'closest' } },
      at('a', 0),
      at('b', 40),
      at('a', 90),
    ],
    groups: [{ a: 'a0', b: 'b40' }],
    errors: ['INVALID_OPTION', 'INVALID_OPTION'],
    completed: ['a0', 'b40'],
  },
  {
    title: 'what a group says of itself is no live option',
    messages: [
      at('a', 0, { sync: { timestampNs: '0', skewMs: 3, topics: ['x'], stamps: { x: '0' } } }),
      at('b', 0, { sync: { reason: 'unmatched' } }),
    ],
    groups: [{ a: 'a0', b: 'b0' }],
    completed: ['a0', 'b0'],
  },
  {
    title: 'a message without a topic, or with one that is no name, fails',
    messages: [{ payload: 1, timestamp: 0 }, at('', 0), at('a', 0, { topic: { name: 'a' } })],
    errors: ['INVALID_INPUT', 'INVALID_INPUT', 'INVALID_INPUT'],
  },
  {
    title: 'a number is a topic',
    config: { topics: topics('1', '2') },
    messages: [at('a', 0, { topic: 1 }), at('b', 0, { topic: 2 })],
    groups: [{ 1: 'a0', 2: 'b0' }],
    completed: ['a0', 'b0'],
  },
  {
    title: 'a message without a usable timestamp fails',
    messages: [
      { topic: 'a', payload: 1 },
      at('a', Number.NaN),
      at('a', 0, { timestamp: 'noon' }),
      at('a', 0, { timestamp: {} }),
      at('a', 0, { timestamp: 2n ** 62n }),
      { topic: 'a', payload: { header: { stamp: { sec: 0, nanosec: 0 } } } },
    ],
    errors: Array(6).fill('INVALID_TIMESTAMP'),
  },
  {
    title: 'the header of a ROS message goes before msg.timestamp',
    messages: [at('a', 7000, { payload: { header: { stamp: { sec: 1, nanosec: 500_000_000 } } } }), at('b', 1500)],
    groups: [{ a: { header: { stamp: { sec: 1, nanosec: 500_000_000 } } } as never, b: 'b1500' }],
    completed: ['a7000', 'b1500'],
  },
  {
    title: 'a header that nobody set does not hide msg.timestamp',
    messages: [at('a', 20, { payload: { header: { stamp: { sec: 0, nanosec: 0 } } } }), at('b', 20)],
    groups: [{ a: { header: { stamp: { sec: 0, nanosec: 0 } } } as never, b: 'b20' }],
    completed: ['a20', 'b20'],
  },
  {
    title: 'options may come with the first message that they are for',
    messages: [at('a', 0), at('b', 40, { sync: { windowMs: 10 } }), at('a', 40)],
    groups: [{ a: 'a40', b: 'b40' }],
    out: ['a0 unmatched'],
    completed: ['a0', 'b40', 'a40'],
  },
  {
    title: 'the unit can be set',
    config: { stampUnit: 's' },
    messages: [at('a', 1), at('b', 0, { timestamp: '1.02' }), at('a', 2)],
    groups: [{ a: 'a1', b: 'b0' }],
    completed: ['a1', 'b0'],
  },
  {
    title: 'topic and timestamp come from other properties',
    config: { topicFrom: 'from.sensor', stampFrom: 'payload.t', stampFromType: 'msg' },
    messages: [
      { _msgid: 'one', from: { sensor: 'a' }, payload: { t: 5 } },
      { _msgid: 'two', from: { sensor: 'b' }, payload: { t: 5 } },
    ],
    groups: [{ a: { t: 5 }, b: { t: 5 } } as never],
    completed: ['one', 'two'],
  },
  {
    title: 'a path that ends early is a missing value, not a bug',
    config: { topicFrom: 'from.sensor.name', stampFrom: 'payload.time.t', stampFromType: 'msg' },
    messages: [{ payload: {} }, { from: { sensor: { name: 'a' } }, payload: null }],
    errors: ['INVALID_INPUT', 'INVALID_TIMESTAMP'],
  },
  {
    title: 'JSONata keeps the order of the messages, controls included',
    config: {
      topicFrom: '$substring(payload, 0, 1)',
      topicFromType: 'jsonata',
      stampFrom: 'timestamp',
      stampFromType: 'jsonata',
    },
    messages: [
      at('a', 0),
      at('b', 10),
      { _msgid: 'flush', flush: true },
      at('a', 20),
      { _msgid: 'reset', reset: true },
    ],
    groups: [{ a: 'a0', b: 'b10' }],
    out: ['a20 reset'],
    completed: ['a0', 'b10', 'flush', 'a20', 'reset'],
  },
  {
    title: 'JSONata that fails is an error of its message',
    config: { topicFrom: '$uppercase(payload)', topicFromType: 'jsonata' },
    messages: [at('a', 0, { payload: 1 }), at('a', 0, { payload: 'a' }), at('b', 0, { payload: 'b' })],
    errors: ['INVALID_INPUT', 'UNKNOWN_TOPIC', 'UNKNOWN_TOPIC'],
    rejects: false,
  },
  {
    title: 'the first topics that appear are learned',
    config: { topics: [], learn: 2 },
    messages: [at('x', 0), at('x', 30), at('y', 0), at('z', 0)],
    groups: [{ x: 'x0', y: 'y0' }],
    out: ['z0 unknown-topic'],
    completed: ['x0', 'y0', 'z0'],
  },
  {
    title: 'learned topics are learned anew after a reset',
    config: { topics: [], learn: 2 },
    messages: [at('x', 0), at('y', 0), { _msgid: 'reset', reset: true }, at('u', 0), at('v', 0)],
    groups: [
      { x: 'x0', y: 'y0' },
      { u: 'u0', v: 'v0' },
    ],
    completed: ['x0', 'y0', 'reset', 'u0', 'v0'],
  },
  {
    title: 'what waits for topics to be learned is bounded, and leaves by reset and flush',
    config: { topics: [], learn: 2, bufferSize: 2 },
    messages: [
      ...[0, 1, 2, 3, 4].map((ms) => at('x', ms)),
      { _msgid: 'flush', flush: true },
      at('x', 5),
      { _msgid: 'reset', reset: true },
    ],
    out: ['x0 full', 'x1 flush', 'x2 flush', 'x3 flush', 'x4 flush', 'x5 reset'],
    completed: ['x0', 'x1', 'x2', 'x3', 'x4', 'flush', 'x5', 'reset'],
  },
  {
    title: 'a stamp out of range spoils nothing while topics are learned',
    config: { topics: [], learn: 2 },
    messages: [at('x', 0, { timestamp: -(2n ** 62n) }), at('x', 0), at('y', 0)],
    groups: [{ x: 'x0', y: 'y0' }],
    errors: ['INVALID_TIMESTAMP'],
    completed: ['x0', 'y0'],
  },
  {
    title: 'live options hold while topics are learned, and after a reset',
    config: { topics: [], learn: 2 },
    messages: [
      { _msgid: 'live', sync: { windowMs: 5 } },
      { sync: { windowMs: 'wide' } },
      at('x', 0),
      at('y', 20),
      { _msgid: 'reset', reset: true },
      at('x', 0),
      at('y', 20),
    ],
    out: ['x0 unmatched', 'y20 reset', 'x0 unmatched'],
    errors: ['INVALID_OPTION'],
    completed: ['live', 'x0', 'y20', 'reset', 'x0'],
  },
  {
    title: 'topics may have any name',
    config: { topics: topics('__proto__', 'constructor') },
    messages: [at('__proto__', 0), at('constructor', 0)],
    groups: [
      Object.fromEntries([
        ['__proto__', '__proto__0'],
        ['constructor', 'constructor0'],
      ]),
    ],
    completed: ['__proto__0', 'constructor0'],
  },
]

describe('millrace-sync: messages in, groups and the rest out', () => {
  afterEach(Rig.stop)

  for (const { title, config = {}, rejects = true, messages, ...expected } of cases) {
    it(title, async () => {
      const rig = await Rig.start(config, { rejects })
      rig.send(...messages.map((message) => ({ ...message })))
      await rig.until('group', expected.groups?.length ?? 0)
      await rig.until('reject', expected.out?.length ?? 0)
      await rig.until('caught', expected.errors?.length ?? 0)
      await rig.until('completed', expected.completed?.length ?? 0)
      await quiet()
      assert.deepEqual(rig.payloads('group'), expected.groups ?? [])
      assert.deepEqual(rig.reasons(), expected.out ?? [])
      assert.deepEqual(rig.codes(), expected.errors ?? [])
      assert.deepEqual(rig.ids('completed').sort(), (expected.completed ?? []).sort())
    })
  }
})
