import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { badSettings, contextOf, type Json, type Opened, openContext, Rig, ros2Suite, type Seen, syncOf } from './rig'

const DOMAIN = 143
const POINT = 'geometry_msgs/msg/PointStamped'
const LATE = 'my_msgs/msg/Late'
const messages = `=== ${LATE}\nstring name\nstd_msgs/Header header`
const qos = { reliability: 'reliable', depth: 100 } as const

const row = (topic: string, messageType: string, more: Json = {}) => ({ topic, messageType, qos: 'default', ...more })
const pair = [row('/left', POINT), row('right', LATE)]
const headerOf = (ms: number) => ({
  stamp: { sec: 1 + Math.floor(ms / 1000), nanosec: (ms % 1000) * 1e6 },
  frame_id: '',
})
const left = (ms: number) => ({ header: headerOf(ms), point: { x: ms, y: 0, z: 0 } })
const right = (ms: number, name = `${ms}`) => ({ name, header: headerOf(ms) })

ros2Suite('sync', () => {
  let robot: Opened
  let [lefts, rights]: ros2.Publisher[] = []
  beforeEach(async () => {
    robot = await openContext(DOMAIN, 'robot', { messages: { [LATE]: 'string name\nstd_msgs/Header header' } })
    lefts = robot.context.publish('/left', POINT, qos)
    rights = robot.context.publish('/right', LATE, qos)
  })
  afterEach(async () => {
    await Rig.stop()
    await Promise.all([lefts?.close(), rights?.close()])
    await robot.context.close()
  })

  /** Both ends have found each other. */
  async function start(more: Json = {}): Promise<Rig> {
    const rig = await Rig.start(contextOf(DOMAIN, { messages }), syncOf({ topics: pair, windowMs: 10, ...more }))
    await robot.until(() => lefts?.matched() === 1 && rights?.matched() === 1)
    return rig
  }

  /** A pair, and what proves that no better one can come. */
  function sendPair(): void {
    lefts?.send(left(0))
    rights?.send(right(2, 'r'))
    lefts?.send(left(100))
    rights?.send(right(100))
  }

  const raw = Buffer.from('0001000002000000720000000100000080841e000100000000', 'hex')
  const outputs: [output: string, left: unknown, right: unknown][] = [
    ['object', left(0), right(2, 'r')],
    ['lazy', left(0), right(2, 'r')],
    ['header', headerOf(0), headerOf(2)],
    ['raw', undefined, raw],
  ]
  for (const [output, first, second] of outputs) {
    it(`gives what belongs together, wherever its stamp lies: ${output}`, async () => {
      const rig = await start({ output })
      sendPair()
      const [group] = await rig.until('heard')
      if (first) assert.deepEqual(group.payload['/left'], first)
      assert.deepEqual(group.payload['/right'], second)
      assert.deepEqual(Object.keys(group.payload), ['/left', '/right'])
      assert.deepEqual(group.sync, {
        timestampNs: '1000000000',
        skewMs: 2,
        topics: ['/left', '/right'],
        stamps: { '/left': '1000000000', '/right': '1002000000' },
      })
      assert.equal(group.ros2['/left'].type, POINT)
      assert.equal(group.ros2['/right'].stampNs, '1002000000')
      assert.match(group.ros2['/right'].publisher, /^[0-9a-f]{32}$/)
      assert.deepEqual([rig.seen.caught, rig.seen.error, rig.seen.warn], [[], [], []])
    })
  }

  it('tells by topic and reason how many found no group, and never hands them out', async () => {
    const rig = await start()
    for (const ms of [0, 30, 60]) lefts?.send(left(ms))
    // Never set, and cut off.
    rights?.send(right(-1000))
    rights?.send(Buffer.from([0, 1, 0, 0, 200, 0, 0, 0]))
    rights?.send(right(61))
    lefts?.send(left(200))
    rights?.send(right(200))
    await rig.until('heard')
    const sum: Record<string, Record<string, number>> = {}
    let told = 0
    for (let next = 0; told < 4; next += 1) {
      const { payload, sync } = (await rig.until('rest', next + 1))[next]
      told += sync.dropped
      for (const [topic, reasons] of Object.entries<Record<string, number>>(payload)) {
        for (const [reason, count] of Object.entries(reasons)) {
          sum[topic] = { ...sum[topic], [reason]: (sum[topic]?.[reason] ?? 0) + count }
        }
      }
    }
    assert.deepEqual(sum, { '/left': { unmatched: 2 }, '/right': { 'no-stamp': 2 } })
    await rig.find('status', (one) => one.text === 'status.dropping')
  })

  it('a topic that is not required joins where it can', async () => {
    const rig = await start({ topics: [pair[0], { ...pair[1], required: false }] })
    lefts?.send(left(0))
    lefts?.send(left(100))
    rights?.send(right(101))
    lefts?.send(left(200))
    rights?.send(right(300))
    const groups = await rig.until('heard', 2)
    assert.deepEqual(
      groups.slice(0, 2).map((group: Seen) => group.sync.topics),
      [['/left'], ['/left', '/right']],
    )
  })

  it('names the topic that a stall waits for, and is well again with the next group', async () => {
    const rig = await start({ stallMs: '20' })
    let tick = 0
    const flow = setInterval(() => {
      tick += 50
      lefts?.send(left(tick))
    }, 10)
    try {
      assert.deepEqual(await rig.until('warn'), ['warning.stall'])
      await rig.find('status', (one) => one.text === 'status.stalled' && one.fill === 'yellow')
      const both = setInterval(() => rights?.send(right(tick)), 10)
      await rig.find('status', (one) => one.fill === 'green')
      clearInterval(both)
    } finally {
      clearInterval(flow)
    }
  })

  it('says that a clock was set back', async () => {
    const rig = await start()
    lefts?.send(left(90_000))
    lefts?.send(left(0))
    assert.deepEqual(await rig.until('warn'), ['warning.clockJump'])
  })

  it('says that a publisher cannot be heard', async () => {
    const rig = await Rig.start(contextOf(DOMAIN, { messages }), syncOf({ topics: [row('/left', LATE), pair[1]] }))
    await rig.find('status', (one) => one.text === 'status.mismatch.type' && one.fill === 'yellow')
    assert.deepEqual(rig.seen.warn, ['mismatch.type'])
  })

  it('shows the topic that nobody publishes', async () => {
    const rig = await Rig.start(contextOf(DOMAIN, { messages }), syncOf({ topics: [pair[0], row('/none', POINT)] }))
    await rig.find('status', (one) => one.text === 'status.stalled' && one.fill === 'grey')
  })

  it('a message that cannot be decoded is an error, and the next group comes', async () => {
    const rig = await start()
    lefts?.send(left(0))
    // Its stamp can be read, the rest is cut off.
    rights?.send(raw.subarray(0, 20))
    lefts?.send(left(100))
    rights?.send(right(100))
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    lefts?.send(left(200))
    rights?.send(right(200))
    await rig.until('heard')
  })

  const only = (more: Json) => syncOf({ topics: [{ ...pair[0], ...more }] })
  badSettings([
    ['no context', [syncOf({ context: 'nowhere', topics: pair })], 'error.INVALID_OPTION'],
    ['no topics', [contextOf(DOMAIN), syncOf({ topics: [] })], 'error.INVALID_OPTION'],
    ['a topic that is no name', [contextOf(DOMAIN), only({ topic: '/a b' })], 'error.INVALID_OPTION'],
    ['a type that is no name', [contextOf(DOMAIN), only({ messageType: 'Point' })], 'error.INVALID_OPTION'],
    ['a preset that is not there', [contextOf(DOMAIN), only({ qos: 'custom' })], 'error.INVALID_OPTION'],
    ['none required', [contextOf(DOMAIN), only({ required: false })], 'error.INVALID_OPTION'],
    ['an unknown type', [contextOf(DOMAIN), only({ messageType: 'a/msg/B' })], 'error.UNKNOWN_TYPE'],
    [
      'one topic by two names',
      [contextOf(DOMAIN), syncOf({ topics: [row('/a', POINT), row('a', POINT)] })],
      'error.INVALID_OPTION',
    ],
    [
      'a header that is not there',
      [contextOf(DOMAIN), syncOf({ topics: [row('/a', 'std_msgs/msg/String')], output: 'header' })],
      'error.INVALID_OPTION',
    ],
  ])
})
