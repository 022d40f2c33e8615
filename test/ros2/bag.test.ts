import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import helper from 'node-red-node-test-helper'
import { ros2 } from '../../nodes'
import { groupsOf, stampsOf } from './oracle'
import { bagOf, contextOf, inOf, type Json, outOf, Rig, ros2Suite, type Seen } from './rig'

const BUNDLED = 'millrace:camera-lidar-imu.mcap'
const bundled = join(__dirname, '../../examples/ros2/camera-lidar-imu.mcap')
const TOPICS = ['/camera/image', '/scan', '/imu']
const STRING = 'std_msgs/msg/String'
const hello = Buffer.from([0, 1, 0, 0, 3, 0, 0, 0, 0x68, 0x69, 0])
const place = { z: 'tab', x: 0, y: 0 }
const play = { payload: 'play' }
const ended = (told: Seen) => told.payload.event === 'end'
const stampText = ({ sec, nanosec }: { sec: number; nanosec: number }) => `${BigInt(sec) * 10n ** 9n + BigInt(nanosec)}`

async function recorded(): Promise<ros2.BagMessage[]> {
  const bag = await ros2.openBag(bundled)
  const found: ros2.BagMessage[] = []
  for await (const message of bag.messages()) found.push(message)
  await bag.close()
  return found
}

/** A recording of texts, with these log times in ms. */
async function textsAt(path: string, times: number[], more: Json[] = []): Promise<void> {
  const writer = await ros2.BagWriter.open(path)
  for (const ms of times) writer.write('/t', STRING, hello, BigInt(ms) * 1_000_000n)
  for (const { topic, type, cdr } of more as Seen[]) writer.write(topic, type, cdr, 0n)
  await writer.close()
}

describe('ros2 bag', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-bag-'))
  })
  afterEach(async () => {
    await Rig.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('plays what was recorded, in its order, with the fields of a message from a topic', async () => {
    const expected = await recorded()
    const rig = await Rig.start(bagOf(BUNDLED, { start: 'deploy', output: 'raw' }))
    await rig.find('told', ended)
    assert.deepEqual(
      rig.seen.heard.map(({ topic, payload, ros2 }) => [topic, payload.toString('hex'), ros2.type, ros2.receivedNs]),
      expected.map(({ topic, data, type, logNs }) => [topic, data.toString('hex'), type, String(logNs)]),
    )
    // The generator publishes with the stamp of the header.
    assert.ok(rig.seen.heard.every(({ ros2 }) => ros2.stampNs === ros2.publishedNs))
    const [begin, end] = rig.seen.told.map(({ payload }) => payload)
    assert.deepEqual(begin.topics.map(({ topic }: Seen) => topic).sort(), [...TOPICS].sort())
    assert.deepEqual(end, { event: 'end', messages: expected.length, errors: 0 })
    assert.deepEqual([rig.seen.error, rig.seen.caught], [[], []])
  })

  for (const output of ['object', 'lazy', 'header']) {
    it(`gives messages as they are wanted: ${output}`, async () => {
      const rig = await Rig.start(bagOf(BUNDLED, { output, topics: '/scan', arrays: 'buffers' }))
      rig.sendTo('bag', play)
      await rig.find('told', ended)
      const [first] = rig.seen.heard
      assert.deepEqual([...new Set(rig.seen.heard.map(({ topic }) => topic))], ['/scan'])
      const header = output === 'header' ? first.payload : first.payload.header
      assert.equal(stampText(header.stamp), first.ros2.stampNs)
      assert.equal(header.frame_id, 'lidar')
      if (output !== 'header') assert.equal(first.payload.ranges.length, 36 * 4)
    })
  }

  it('the bundled recording, through sync, gives the groups that an oracle finds', async () => {
    const bag = await ros2.openBag(bundled)
    const expected = groupsOf(await stampsOf(bag), 25_000_000n)
    await bag.close()
    const topics = TOPICS.map((topic) => ({ topic, required: true, minPeriodMs: '' }))
    const sync = { id: 'sync', type: 'millrace-sync', windowMs: 25, bufferSize: 1000, topics, ...place }
    const rig = await Rig.start(bagOf(BUNDLED, { start: 'deploy', wires: [['sync'], ['told']] }), {
      ...sync,
      wires: [['sink'], []],
    })
    await rig.find('told', ended)
    rig.sendTo('sync', { flush: true })
    await rig.until('heard', expected.length)
    const groups = rig.seen.heard.map(({ payload }) =>
      TOPICS.map((topic) => stampText((payload[topic].payload ?? payload[topic]).header.stamp)).join(' '),
    )
    assert.deepEqual(groups, expected)
  })

  it('keeps the time of the recording, at its speed', async () => {
    await textsAt(join(folder, 'a.mcap'), [0, 100, 400])
    const rig = await Rig.start(bagOf(join(folder, 'a.mcap'), { speed: 2 }))
    const times: number[] = []
    helper.getNode('sink').on('input', () => times.push(performance.now()))
    rig.sendTo('bag', play)
    await rig.find('told', ended)
    // No message comes before its time; how late one may be is a matter of the machine.
    const [first = 0, second = 0, third = 0] = times
    assert.ok(second - first > 45 && third - first > 190, `${times}`)
  })

  it('is paused, steps, goes elsewhere, goes on, and stops', async () => {
    await textsAt(join(folder, 'a.mcap'), [0, 1000, 2000, 3000, 4000])
    const rig = await Rig.start(bagOf(join(folder, 'a.mcap'), { speed: 1 }))
    rig.sendTo('bag', { payload: 'step' })
    await rig.until('heard', 1)
    rig.sendTo('bag', { payload: 'step' })
    await rig.until('heard', 2)
    await rig.find('status', ({ text }) => text === 'status.paused')
    rig.sendTo('bag', { at: 3, payload: 'step' })
    await rig.until('heard', 3)
    rig.sendTo('bag', { at: '2000000000', payload: 'step' })
    await rig.until('heard', 4)
    rig.sendTo('bag', { payload: 'play', at: 0, speed: 0 })
    await rig.find('told', ended)
    const ms = rig.seen.heard.map(({ ros2 }) => Number(ros2.receivedNs) / 1e6)
    assert.deepEqual(ms, [0, 1000, 3000, 2000, 0, 1000, 2000, 3000, 4000])
    rig.sendTo('bag', { payload: 'play', speed: 1 })
    await rig.until('heard', 10)
    rig.sendTo('bag', { payload: 'pause' }, { payload: 'stop' })
    await rig.find('status', ({ text }) => text === 'status.stopped')
    assert.equal(rig.seen.told.filter(ended).length, 1)
    assert.deepEqual([rig.seen.error, rig.seen.caught], [[], []])
  })

  it('loops as recorded, and moved to now', async () => {
    for (const stamps of ['original', 'now']) {
      const before = BigInt(Date.now()) * 1_000_000n
      const rig = await Rig.start(bagOf(BUNDLED, { loop: true, stamps, topics: '/scan,/imu' }))
      rig.sendTo('bag', play)
      await rig.find('told', ({ payload }) => payload.event === 'loop' && payload.loop === 2)
      rig.sendTo('bag', { payload: 'stop' })
      await rig.find('status', ({ text }) => text === 'status.stopped')
      const scans = rig.seen.heard.filter(({ topic }) => topic === '/scan')
      const times = scans.map(({ ros2 }) => BigInt(ros2.stampNs))
      assert.ok(scans.every(({ payload, ros2 }) => stampText(payload.header.stamp) === ros2.stampNs))
      const back = times.filter((time, at) => at > 0 && time < (times[at - 1] as bigint))
      if (stamps === 'now') {
        assert.deepEqual(back, [])
        // A stamp is a little older than the time at which it was recorded.
        assert.ok((times[0] as bigint) > before - 1_000_000_000n)
      } else {
        assert.ok(back.length >= 1)
        assert.equal(times[0], times[times.indexOf(times[0] as bigint, 1)])
      }
      await Rig.stop()
    }
  })

  it('moves a stamp that is further inside, and leaves the recording as it is', async () => {
    const path = join(folder, 'late.mcap')
    const type = 'my_msgs/msg/Late'
    const messages = { [type]: 'uint8 level\nstd_msgs/Header header' }
    const writer = await ros2.BagWriter.open(path, { messages })
    const message = { level: 1, header: { stamp: { sec: 5, nanosec: 6 }, frame_id: '' } }
    writer.write('/late', type, new ros2.Codec(type, writer.definitionsOf(type)).encode(message), 5_000_000_006n)
    await writer.close()
    const rig = await Rig.start(bagOf(path, { stamps: 'now' }))
    rig.sendTo('bag', play)
    const [{ payload, ros2: about }] = await rig.until('heard')
    assert.equal(stampText(payload.header.stamp), about.stampNs)
    assert.equal(about.stampNs, about.receivedNs)
    assert.ok(payload.header.stamp.sec > 1_700_000_000)
  })

  it('tells the time', async () => {
    for (const output of ['object', 'raw']) {
      await textsAt(join(folder, `${output}.mcap`), [1000, 1010, 1030, 1070])
      const rig = await Rig.start(bagOf(join(folder, `${output}.mcap`), { clock: true, output }))
      rig.sendTo('bag', play)
      await rig.find('told', ended)
      assert.deepEqual(
        rig.seen.heard.map(({ topic }) => topic),
        ['/clock', '/t', '/t', '/clock', '/t', '/clock', '/t'],
      )
      const clock = rig.seen.heard[3]
      if (output === 'raw') assert.equal(clock.payload.toString('hex'), '000100000100000080c3c901')
      else assert.deepEqual(clock.payload, { clock: { sec: 1, nanosec: 30_000_000 } })
      assert.equal(clock.ros2.type, 'rosgraph_msgs/msg/Clock')
      await Rig.stop()
    }
  })

  for (const wired of [true, false]) {
    it(`what cannot be decoded is told once for each topic, ${wired ? 'by the second output' : 'as an error'}`, async () => {
      const path = join(folder, 'a.mcap')
      await textsAt(
        path,
        [1, 2],
        [
          { topic: '/u', type: 'no/msg/Body', cdr: hello },
          { topic: '/u', type: 'no/msg/Body', cdr: hello },
        ],
      )
      const rig = await Rig.start(bagOf(path, { wires: [['sink'], wired ? ['told'] : []] }))
      rig.sendTo('bag', play)
      await rig.until('heard', 2)
      if (wired) {
        const { payload } = await rig.find('told', (one) => one.payload.event === 'error')
        assert.deepEqual([payload.code, payload.topic], ['UNKNOWN_TYPE', '/u'])
        assert.equal((await rig.find('told', ended)).payload.errors, 2)
        assert.equal(rig.seen.told.length, 3)
      } else assert.equal((await rig.until('caught'))[0].error.code, 'UNKNOWN_TYPE')
      rig.seen.heard.every(({ topic }) => assert.equal(topic, '/t') === undefined)
      await Rig.stop()
      const raw = await Rig.start(bagOf(path, { output: 'raw' }))
      raw.sendTo('bag', play)
      assert.equal((await raw.until('heard', 4)).length, 4)
    })
  }

  it('plays a file that was cut, and tells of it', async () => {
    const path = join(folder, 'cut.mcap')
    writeFileSync(path, readFileSync(bundled).subarray(0, 100_000))
    const rig = await Rig.start(bagOf(path))
    rig.sendTo('bag', play)
    await rig.find('told', ended)
    assert.equal((await rig.find('told', ({ payload }) => payload.event === 'error')).payload.code, 'STORE_CORRUPT')
    assert.ok(rig.seen.heard.length > 100 && rig.seen.heard.length < 516)
  })

  const refused: [string, Json][] = [
    ['a command that is none', { payload: 'jump' }],
    ['a time that is none', { at: 'noon' }],
    ['a speed that is none', { speed: -1 }],
  ]
  for (const [title, message] of refused) {
    it(`refuses ${title}`, async () => {
      const rig = await Rig.start(bagOf(BUNDLED))
      rig.sendTo('bag', message)
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    })
  }

  it('says what is wrong with the file, and plays it when it is there', async () => {
    const path = join(folder, 'a.mcap')
    const rig = await Rig.start(bagOf(path))
    rig.sendTo('bag', play)
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    await rig.find('status', ({ text, fill }) => text === 'error.INVALID_OPTION' && fill === 'red')
    await textsAt(path, [1])
    rig.sendTo('bag', play)
    await rig.until('heard')
    await Rig.stop()
    const again = await Rig.start(bagOf(join(folder, 'none.mcap'), { start: 'deploy' }))
    assert.equal((await again.until('told'))[0].payload.code, 'INVALID_OPTION')
  })

  const places: [string, Json, string][] = [
    ['no path', { path: '' }, 'error.INVALID_OPTION'],
    ['a mode that is none', { mode: 'rewind' }, 'error.INVALID_OPTION'],
    ['a type that is no name', { mode: 'record', messageType: 'String' }, 'error.INVALID_OPTION'],
    ['a context that is not there', { context: 'nowhere' }, 'error.INVALID_OPTION'],
  ]
  for (const [title, more, text] of places) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(bagOf('a.mcap', more))
      await rig.find('status', (one) => one.text === text)
    })
  }

  it('a bundled name leads nowhere else', async () => {
    const rig = await Rig.start(bagOf('millrace:../../package.json'))
    rig.sendTo('bag', play)
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })

  it('offers the topics of the recording', async () => {
    const rig = await Rig.start(bagOf(BUNDLED))
    const { status, body } = await rig.get('/millrace-ros2-bag/bag/topics')
    assert.deepEqual([status, body], [200, [...TOPICS].sort()])
    assert.equal((await rig.get('/millrace-ros2-bag/nobody/topics')).body, null)
  })

  it('what is played is recorded byte by byte, in the user directory', async () => {
    helper.settings({ userDir: folder } as never)
    const rig = await Rig.start(
      bagOf(BUNDLED, { start: 'deploy', output: 'raw', wires: [['rec'], ['told']] }),
      bagOf('sub/{time}.mcap', { id: 'rec', mode: 'record', start: 'deploy', wires: [[], ['sink']] }),
    )
    await rig.find('told', ended)
    rig.sendTo('rec', { payload: 'stop' })
    const { payload } = await rig.find('heard', ended)
    const [name = ''] = readdirSync(join(folder, 'sub'))
    assert.match(name, /^\d{8}T\d{6}Z\.mcap$/)
    assert.equal(payload.path, join(folder, 'sub', name))
    const bag = await ros2.openBag(payload.path)
    const again: ros2.BagMessage[] = []
    for await (const message of bag.messages()) again.push({ ...message, sequence: 0 })
    assert.deepEqual(
      again,
      (await recorded()).map((message) => ({ ...message, sequence: 0 })),
    )
    await bag.close()
    assert.deepEqual([rig.seen.error, rig.seen.caught], [[], []])
  })

  it('records objects, completes when they are in the file, and finishes when it closes', async () => {
    const path = join(folder, 'a.mcap')
    const recorder = bagOf(path, { mode: 'record', start: 'deploy', messageType: 'std_msgs/String' })
    const rig = await Rig.start(recorder)
    rig.sendTo('bag', { topic: '/a', payload: { data: 'hi' } }, { topic: '/a', payload: hello })
    await rig.until('completed', 2)
    await rig.find('status', ({ text, fill }) => text === 'status.recording' && fill === 'green')
    assert.deepEqual(readdirSync(folder), ['a.mcap.part'])
    await rig.redeploy()
    assert.deepEqual(readdirSync(folder), ['a.mcap'])
    const bag = await ros2.openBag(path)
    for await (const { data, type } of bag.messages()) assert.deepEqual([data, type], [hello, STRING])
    await bag.close()
  })

  it('begins a new file when one is large, and keeps those that are there', async () => {
    const path = join(folder, 'a.mcap')
    writeFileSync(path, 'mine')
    const rig = await Rig.start(bagOf(path, { mode: 'record', maxMegabytes: '0.001', maxMinutes: '100' }))
    rig.sendTo('bag', { topic: '/a', payload: hello, ros2: { type: STRING } })
    rig.sendTo('bag', { payload: 'record' })
    const big = { topic: '/a', payload: { data: 'x'.repeat(1_100_000) }, ros2: { type: STRING } }
    rig.sendTo('bag', big, big)
    await rig.until('told', 4)
    assert.equal(readFileSync(path, 'utf8'), 'mine')
    const files = readdirSync(folder)
    assert.ok(files.includes('a-2.mcap') && files.includes('a-3.mcap'), `${files}`)
    assert.equal(
      rig.seen.told.filter(ended).every(({ payload }) => payload.messages === 1),
      true,
    )
  })

  it('takes the definitions of own types from a context, which it does not open', async () => {
    const type = 'my_msgs/msg/Speed'
    const [path, bare] = [join(folder, 'a.mcap'), join(folder, 'bare.mcap')]
    const context = contextOf(72, { messages: `=== ${type}\nfloat64 value` })
    const own = { context: 'ctx', messageType: type }
    const rig = await Rig.start(context, bagOf(path, { ...own, mode: 'record', start: 'deploy' }))
    rig.sendTo('bag', { topic: '/a', payload: { value: 1.5 } })
    await rig.until('completed')
    rig.sendTo('bag', { payload: 'stop' })
    await rig.find('told', ended)
    assert.deepEqual([rig.seen.log, rig.seen.error, rig.seen.caught], [[], [], []])
    const bag = await ros2.openBag(path)
    assert.match(bag.topics[0]?.schema ?? '', /^float64 value$/m)
    const writer = await ros2.BagWriter.open(bare)
    for await (const message of bag.messages()) {
      assert.deepEqual(bag.decode(message), { value: 1.5 })
      await writer.write('/a', type, message.data, 1n)
    }
    await Promise.all([bag.close(), writer.close()])
    await Rig.stop()
    // A recording that lacks them.
    const played = await Rig.start(context, bagOf(bare, { context: 'ctx' }))
    played.sendTo('bag', play)
    assert.deepEqual((await played.until('heard'))[0].payload, { value: 1.5 })
  })

  const unfit: [string, Json, string][] = [
    ['no topic', { payload: hello, ros2: { type: STRING } }, 'INVALID_INPUT'],
    ['no type', { topic: '/a', payload: hello }, 'INVALID_INPUT'],
    ['a payload that is none', { topic: '/a', payload: 5, ros2: { type: STRING } }, 'INVALID_INPUT'],
    ['a field that is none', { topic: '/a', payload: { x: 1 }, ros2: { type: STRING } }, 'INVALID_INPUT'],
    ['an object of an unknown type', { topic: '/a', payload: {}, ros2: { type: 'no/msg/Body' } }, 'UNKNOWN_TYPE'],
  ]
  for (const [title, message, code] of unfit) {
    it(`does not record ${title}, and goes on`, async () => {
      const rig = await Rig.start(bagOf(join(folder, 'a.mcap'), { mode: 'record', start: 'deploy' }))
      rig.sendTo('bag', message)
      assert.equal((await rig.until('caught'))[0].error.code, code)
      rig.sendTo('bag', { topic: '/a', payload: hello, ros2: { type: STRING } })
      await rig.until('completed')
    })
  }

  it('says that it cannot record, until it is told to try again', async () => {
    const path = join(folder, 'no', 'a.mcap')
    writeFileSync(join(folder, 'no'), '')
    const rig = await Rig.start(bagOf(path, { mode: 'record', start: 'deploy' }))
    const message = { topic: '/a', payload: hello, ros2: { type: STRING } }
    rig.sendTo('bag', message)
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    await rig.find('status', ({ fill }) => fill === 'red')
    rmSync(join(folder, 'no'))
    rig.sendTo('bag', { payload: 'record' })
    await rig.until('completed')
    rig.sendTo('bag', message)
    await rig.until('completed', 2)
  })

  it('plays on as fast as it can, and others get their turn', async () => {
    const path = join(folder, 'many.mcap')
    await textsAt(
      path,
      Array.from({ length: 100_000 }, (_, ms) => ms),
    )
    const rig = await Rig.start(bagOf(path, { output: 'raw', wires: [['sink'], ['told']] }))
    let turns = 0
    const others = setInterval(() => {
      turns += 1
    }, 1)
    const began = performance.now()
    rig.sendTo('bag', play)
    await rig.find('told', ended)
    clearInterval(others)
    const seconds = (performance.now() - began) / 1000
    assert.equal(rig.seen.heard.length, 100_000)
    assert.ok(turns > 50, `${turns} turns`)
    if (process.env.MILLRACE_LONG) console.log(`${Math.round(100_000 / seconds)} messages/s`)
  })
})

ros2Suite('bag, played into topics', () => {
  afterEach(() => Rig.stop())

  const scan = { topic: '/scan', messageType: 'sensor_msgs/msg/LaserScan' }
  const all = { qos: 'custom', reliability: 'reliable', durability: 'transient-local', history: 'keep-all' }
  for (const output of ['object', 'raw']) {
    it(`a subscription hears what was recorded, byte by byte: ${output}`, async () => {
      const expected = (await recorded()).filter(({ topic }) => topic === '/scan')
      const rig = await Rig.start(
        contextOf(73),
        bagOf(BUNDLED, { output, topics: '/scan', wires: [['out'], ['told']] }),
        outOf({ ...scan, ...all }),
        inOf({ ...scan, ...all, output: 'raw' }),
      )
      await rig.find('status', (one) => one.id === 'out' && one.fill === 'green')
      rig.sendTo('bag', play)
      const heard = await rig.until('heard', expected.length)
      const stamps = expected.map(({ data }) => stampText({ sec: data.readInt32LE(4), nanosec: data.readUInt32LE(8) }))
      assert.deepEqual(
        heard.map(({ payload, ros2 }) => [payload.toString('hex'), ros2.stampNs]),
        expected.map(({ data }, place) => [data.toString('hex'), stamps[place]]),
      )
      assert.deepEqual([rig.seen.error, rig.seen.caught, rig.seen.warn], [[], [], []])
    })
  }
})
