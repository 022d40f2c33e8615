/** Recordings as a library: what is written is read again, by others, too; what is damaged plays as far as it is whole. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isLoaded, compress as zstd } from '@foxglove/wasm-zstd'
import { McapIndexedReader, McapWriter, type McapWriterOptions } from '@mcap/core'
import { ros2 } from '../../nodes'
import { groupsOf, stampsOf } from './oracle'
import { openContext, ros2Suite } from './rig'

const bundled = join(__dirname, '../../examples/ros2/camera-lidar-imu.mcap')
const STRING = 'std_msgs/msg/String'
const SEED = 20_261

type Heard = [topic: string, logNs: bigint, data: string]

async function all(bag: ros2.Bag, range: ros2.BagRange = {}): Promise<Heard[]> {
  const found: Heard[] = []
  for await (const { topic, logNs, data } of bag.messages(range)) found.push([topic, logNs, data.toString('hex')])
  return found
}

async function read(from: string | Buffer): Promise<{ messages: Heard[]; problems: ros2.BagProblem[]; bag: ros2.Bag }> {
  const bag = await ros2.openBag(from)
  const problems = [...bag.problems]
  const messages = await all(bag, { onProblem: (problem) => problems.push(problem) })
  await bag.close()
  return { messages, problems, bag }
}

const cdrOf = (text: string) => new ros2.Codec(STRING, new ros2.Definitions().resolve(STRING)).encode({ data: text })

/** A file of another writer: the one of @mcap/core, with options that ours does not have. */
async function otherFile(options: Partial<McapWriterOptions>, count = 200, encoding = 'cdr'): Promise<Buffer> {
  const parts: Buffer[] = []
  let position = 0n
  const writable = {
    position: () => position,
    write: async (bytes: Uint8Array) => {
      parts.push(Buffer.from(bytes))
      position += BigInt(bytes.length)
    },
  }
  const writer = new McapWriter({ writable, chunkSize: 1000, ...options })
  await writer.start()
  const schema = { name: STRING, encoding: 'ros2msg', data: Buffer.from('string data') }
  const schemaId = await writer.registerSchema(schema)
  const channels: number[] = []
  for (const topic of ['/a', '/b']) {
    channels.push(await writer.registerChannel({ topic, schemaId, messageEncoding: encoding, metadata: new Map() }))
  }
  for (let place = 0; place < count; place += 1) {
    // Each chunk overlaps with the next ones, and is out of order inside.
    const logTime = BigInt(1000 + place * 10 - (place % 7) * 35)
    const data = encoding === 'json' ? Buffer.from(JSON.stringify({ data: place })) : cdrOf(`m${place}`)
    const channelId = channels[place % 2] as number
    await writer.addMessage({ channelId, sequence: place, logTime, publishTime: logTime, data })
  }
  await writer.end()
  return Buffer.concat(parts)
}

/** LZ4 without any matches, as a frame of stored and of packed blocks. */
function lz4(records: Uint8Array): { compression: string; compressedData: Uint8Array } {
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
  const blocks: Buffer[] = []
  for (let at = 0; at < records.length; at += 500) {
    const bytes = Buffer.from(records.subarray(at, at + 500))
    const size = Buffer.alloc(4)
    if (blocks.length % 4 === 0) {
      size.writeUInt32LE((bytes.length | 0x80000000) >>> 0)
      blocks.push(size, bytes)
    } else {
      const literals = Buffer.concat([lengthOf(bytes.length), bytes])
      size.writeUInt32LE(literals.length)
      blocks.push(size, literals)
    }
  }
  return { compression: 'lz4', compressedData: Buffer.concat([head, ...blocks, Buffer.alloc(4)]) }
}

function lengthOf(length: number): Buffer {
  if (length < 15) return Buffer.from([length << 4])
  const more = [...Array(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255]
  return Buffer.from([0xf0, ...more])
}

function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
}

describe('recordings', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-bag-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  for (const compression of ['none', 'zstd'] as const) {
    it(`what is written is read again, byte by byte: ${compression}`, async () => {
      const path = join(folder, 'deep/er/a.mcap')
      const writer = await ros2.BagWriter.open(path, { compression, chunkBytes: 2000 })
      const written: Heard[] = []
      for (let place = 0; place < 300; place += 1) {
        const [topic, data] = [`/t${place % 3}`, cdrOf('x'.repeat(place))]
        const logNs = 1_700_000_000_000_000_000n + BigInt(place)
        written.push([topic, logNs, data.toString('hex')])
        if (place === 150) await writer.write(topic, STRING, data, logNs)
        else writer.write(topic, STRING, data, logNs)
      }
      assert.ok(existsSync(`${path}.part`))
      await writer.close()
      assert.deepEqual(readdirSync(join(folder, 'deep/er')), ['a.mcap'])
      const { messages, problems, bag } = await read(path)
      assert.deepEqual(messages, written)
      assert.deepEqual([problems, bag.indexed], [[], true])
      assert.deepEqual(
        bag.topics.map(({ topic, type, count, schema }) => [topic, type, count, schema.trim()]),
        ['/t0', '/t1', '/t2'].map((topic) => [topic, STRING, 100, 'string data']),
      )
      assert.deepEqual([bag.startNs, bag.endNs], [written[0]?.[1], written.at(-1)?.[1]])
      // Another reader trusts checksums, index and statistics.
      const bytes = readFileSync(path)
      const readable = {
        size: async () => BigInt(bytes.length),
        read: async (offset: bigint, size: bigint) => bytes.subarray(Number(offset), Number(offset + size)),
      }
      await isLoaded
      const { decompress } = await import('@foxglove/wasm-zstd')
      const decompressHandlers = { zstd: (packed: Uint8Array, size: bigint) => decompress(packed, Number(size)) }
      const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers })
      let count = 0
      for await (const _ of reader.readMessages({ validateCrcs: true })) count += 1
      assert.deepEqual([count, reader.statistics?.messageCount], [300, 300n])
    })
  }

  const others: [string, () => Partial<McapWriterOptions>][] = [
    ['chunks', () => ({})],
    ['no chunks', () => ({ useChunks: false })],
    ['no index', () => ({ useChunkIndex: false })],
    ['no index of messages', () => ({ useMessageIndex: false })],
    ['no statistics', () => ({ useStatistics: false })],
    ['no repeated channels', () => ({ repeatChannels: false, repeatSchemas: false })],
    ['lz4', () => ({ compressChunk: lz4 })],
    ['zstd', () => ({ compressChunk: (bytes) => ({ compression: 'zstd', compressedData: zstd(bytes) }) })],
  ]
  for (const [title, options] of others) {
    it(`other writers' files play in the order of time: ${title}`, async () => {
      await isLoaded
      const { messages, problems, bag } = await read(await otherFile(options()))
      assert.deepEqual(problems, [])
      assert.equal(new Set(messages.map(([, , data]) => data)).size, 200)
      const times = messages.map(([, logNs]) => Number(logNs))
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      )
      assert.deepEqual(bag.topics.map(({ topic }) => topic).sort(), ['/a', '/b'])
      const wanted = await all(bag, { topics: ['/b'], fromNs: 2000n })
      assert.deepEqual(
        wanted,
        messages.filter(([topic, logNs]) => topic === '/b' && logNs >= 2000n),
      )
    })
  }

  for (const compression of ['lz4', 'zstd']) {
    it(`files of Python's writer play: ${compression}`, async () => {
      const bag = await ros2.openBag(join(__dirname, `../fixtures/python-${compression}.mcap`))
      const texts: unknown[] = []
      for await (const message of bag.messages()) texts.push(bag.decode(message).data)
      const expected = Array.from({ length: 100 }, (_, place) => `message ${place} `.repeat(1 + (place % 9)))
      assert.deepEqual(texts, expected)
      assert.equal(bag.indexed, true)
      await bag.close()
    })
  }

  it('messages are decoded by the definitions of the file, or as JSON', async () => {
    for (const encoding of ['cdr', 'json']) {
      const bag = await ros2.openBag(await otherFile({}, 1, encoding))
      for await (const message of bag.messages()) {
        assert.deepEqual(bag.decode(message), { data: encoding === 'json' ? 0 : 'm0' })
      }
    }
    const bag = await ros2.openBag(await otherFile({}, 1, 'ros1'))
    for await (const message of bag.messages()) {
      assert.throws(() => bag.decode(message), { code: 'UNKNOWN_TYPE' })
      assert.throws(() => bag.decode({ ...message, encoding: 'cdr', type: 'a/msg/B' }), { code: 'UNKNOWN_TYPE' })
    }
  })

  it('a type of its own comes back with what it contains', async () => {
    const path = join(folder, 'own.mcap')
    const messages = {
      'my_msgs/msg/Speed': 'std_msgs/Header header\nLevel level\nbuiltin_interfaces/Duration[] waits\nint8 FAST=3',
      'my_msgs/msg/Level': 'uint8 of 7\nstring<=5[<=2] names',
    }
    const writer = await ros2.BagWriter.open(path, { messages })
    const message = {
      header: { stamp: { sec: 1, nanosec: 2 }, frame_id: 'map' },
      level: { of: 3, names: ['a', 'b'] },
      waits: [{ sec: 4, nanosec: 5 }],
    }
    const type = 'my_msgs/msg/Speed'
    writer.write('/s', type, new ros2.Codec(type, writer.definitionsOf(type)).encode(message), 1n)
    writer.write('/u', 'no/msg/Body', cdrOf('raw'), 2n)
    await writer.close()
    const bag = await ros2.openBag(path)
    const found: unknown[] = []
    for await (const one of bag.messages({ topics: ['/s'] })) found.push(bag.decode(one))
    assert.deepEqual(found, [message])
    assert.deepEqual(
      bag.topics.map(({ schema }) => schema === ''),
      [false, true],
    )
    await bag.close()
  })

  it('a recording that was cut anywhere plays what is whole, and tells of the rest', async () => {
    const random = randomOf(SEED)
    for (const whole of [readFileSync(bundled), await otherFile({ useChunks: false })]) {
      const { messages: expected } = await read(whole)
      const known = new Set(expected.map(String))
      let most = 0
      for (let cut = 0; cut < 50; cut += 1) {
        const length = 8 + random(whole.length - 8)
        const { messages, problems, bag } = await read(whole.subarray(0, length))
        const about = `cut at ${length} of ${whole.length}, seed ${SEED}`
        assert.ok(problems.length > 0 || bag.indexed === false, about)
        assert.ok(
          messages.every((message) => known.has(String(message))),
          about,
        )
        if (length < whole.length / 2) assert.ok(messages.length < expected.length, about)
        most = Math.max(most, messages.length)
      }
      assert.ok(most > expected.length / 2)
    }
  })

  it('nothing that is damaged is played, and nothing crashes', async () => {
    await isLoaded
    const random = randomOf(SEED)
    const files = [
      readFileSync(bundled),
      await otherFile({ compressChunk: lz4 }),
      await otherFile({ compressChunk: (bytes) => ({ compression: 'zstd', compressedData: zstd(bytes) }) }),
    ]
    for (const whole of files) {
      const { messages: expected } = await read(whole)
      const known = new Set(expected.map(String))
      let passed = 0
      for (let round = 0; round < 60; round += 1) {
        const bytes = Buffer.from(whole)
        const place = random(bytes.length)
        // Lengths of nearly everything, too.
        const size = round % 3 === 0 ? 8 : 1
        bytes.fill(random(255) ^ 0xa5, place, place + size)
        try {
          const { messages } = await read(bytes)
          const strange = messages.filter((message) => !known.has(String(message)))
          // What lies outside of the checksums are names alone.
          assert.ok(
            strange.every(([, logNs]) => expected.some(([, other]) => other === logNs)),
            `at ${place}`,
          )
          passed += 1
        } catch (error) {
          // Where its first bytes are others it is none.
          const code = place < 8 ? 'INVALID_INPUT' : 'STORE_CORRUPT'
          assert.equal((error as { code?: string }).code, code, `at ${place}, seed ${SEED}: ${error}`)
        }
      }
      assert.ok(passed > 30)
    }
  })

  it('a chunk that is damaged is passed over, and told', async () => {
    const bytes = await otherFile({})
    const at = bytes.indexOf(Buffer.from('m100'))
    bytes[at] = 0
    const { messages, problems } = await read(bytes)
    assert.deepEqual(
      problems.map(({ error }) => error.code),
      ['STORE_CORRUPT'],
    )
    assert.ok(messages.length < 200 && messages.length > 150)
  })

  it('what a file claims is no reason to take memory', async () => {
    const random = randomOf(SEED)
    const whole = await otherFile({ compressChunk: lz4 })
    // The chunk's own claim of its size, its length in the file, and the index's.
    const chunk = whole.indexOf(Buffer.from('lz4')) - 4 - 28 - 9
    assert.equal(whole[chunk], 6)
    const before = process.memoryUsage().rss
    for (const place of [chunk + 1, chunk + 9 + 16, chunk + 9 + 28, whole.length - 28]) {
      for (const claim of [2n ** 62n, 2n ** 40n, 2n ** 31n, BigInt(300 << 20) + BigInt(random(1000))]) {
        const bytes = Buffer.from(whole)
        bytes.writeBigUInt64LE(claim, place)
        await read(bytes).catch((error) => assert.equal(error.code, 'STORE_CORRUPT'))
      }
    }
    assert.ok(process.memoryUsage().rss - before < 400e6)
  })

  const wrong: [string, () => string | Buffer, string][] = [
    ['a file that is not there', () => join(folder, 'none.mcap'), 'INVALID_OPTION'],
    ['a folder', () => folder, 'INVALID_OPTION'],
    ['a file of something else', () => __filename, 'INVALID_INPUT'],
    ['nothing', () => Buffer.alloc(0), 'INVALID_INPUT'],
  ]
  for (const [title, from, code] of wrong) {
    it(`cannot be opened: ${title}`, () => assert.rejects(ros2.openBag(from()), { code }))
  }

  it('an unknown compression is told', async () => {
    const strange = (bytes: Uint8Array) => ({ compression: 'br', compressedData: bytes })
    const { messages, problems } = await read(await otherFile({ compressChunk: strange }))
    assert.deepEqual(messages, [])
    assert.ok(problems.length > 0 && problems.every(({ error }) => error.code === 'INVALID_INPUT'))
  })

  it('what is there is not overwritten, and what cannot be recorded is refused', async () => {
    const path = join(folder, 'a.mcap')
    const writer = await ros2.BagWriter.open(path)
    assert.throws(() => writer.write('/a', STRING, cdrOf(''), -1n), { code: 'INVALID_TIMESTAMP' })
    await assert.rejects(ros2.BagWriter.open(path), { code: 'INVALID_OPTION' })
    writer.write('/a', STRING, cdrOf(''), 1n)
    writeFileSync(path, 'mine')
    await assert.rejects(writer.close(), { code: 'INVALID_OPTION' })
    assert.equal(readFileSync(path, 'utf8'), 'mine')
    assert.equal((await read(`${path}.part`)).messages.length, 1)
    assert.throws(() => writer.write('/a', STRING, cdrOf(''), 1n), { code: 'CLOSED' })
    await assert.rejects(ros2.BagWriter.open('/dev/null/a.mcap'), { code: 'INVALID_OPTION' })
  })

  it('a recording without messages leaves nothing behind', async () => {
    const writer = await ros2.BagWriter.open(join(folder, 'a.mcap'))
    await writer.close()
    assert.deepEqual(readdirSync(folder), [])
  })

  it('a disk that is too slow is told, and one that fails', async () => {
    const writer = await ros2.BagWriter.open(join(folder, 'a.mcap'), { chunkBytes: 1, maxWaitingBytes: 5000 })
    const big = cdrOf('x'.repeat(10_000))
    const first = writer.write('/a', STRING, big, 1n)
    assert.throws(() => writer.write('/a', STRING, big, 2n), { code: 'BUFFER_FULL' })
    await first
    const { handle } = writer as unknown as { handle: { write: unknown } }
    handle.write = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }))
    await assert.rejects(writer.write('/a', STRING, big, 3n), { code: 'DISK_FULL', message: /no space left/ })
    assert.throws(() => writer.write('/a', STRING, big, 4n), { code: 'DISK_FULL' })
    await assert.rejects(writer.close(), { code: 'DISK_FULL' })
    assert.equal((await read(join(folder, 'a.mcap.part'))).messages.length, 1)
  })

  const broken: [title: string, method: string, errno: string, code: string][] = [
    ['a quota that is used up', 'write', 'EDQUOT', 'DISK_FULL'],
    ['a disk that does not write', 'write', 'EIO', 'STORE_FAILED'],
    ['a disk that is full at the end', 'sync', 'ENOSPC', 'DISK_FULL'],
    ['a disk that fails at the end', 'close', 'EIO', 'STORE_FAILED'],
  ]
  for (const [title, method, errno, code] of broken) {
    it(`tells of ${title}`, async () => {
      const writer = await ros2.BagWriter.open(join(folder, 'a.mcap'), { chunkBytes: 1 })
      await writer.write('/a', STRING, cdrOf('a'), 1n)
      const { handle } = writer as unknown as { handle: FileHandle & Record<string, unknown> }
      const close = handle.close.bind(handle)
      handle[method] = () => Promise.reject(Object.assign(new Error(errno), { code: errno }))
      writer.write('/a', STRING, cdrOf('b'), 2n).catch(() => {})
      await assert.rejects(writer.close(), { code })
      if (method === 'close') await close()
      assert.equal((await read(join(folder, 'a.mcap.part'))).messages.length, method === 'write' ? 1 : 2)
    })
  }

  it('tells of a disk that cannot be read', async () => {
    const path = join(folder, 'a.mcap')
    const writer = await ros2.BagWriter.open(path, { chunkBytes: 1 })
    await writer.write('/a', STRING, cdrOf('a'), 1n)
    await writer.close()
    const bag = await ros2.openBag(path)
    const { bytes } = bag as unknown as { bytes: { handle: Record<string, unknown> } }
    bytes.handle.read = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
    await assert.rejects(bag.messages().next(), { code: 'STORE_FAILED' })
    await bag.close()
  })

  it('after a kill the file has all but the last moment', async () => {
    const path = join(folder, 'killed.mcap')
    const script = `
      const { ros2 } = require(${JSON.stringify(join(__dirname, '../../nodes/index.ts'))})
      ros2.BagWriter.open(${JSON.stringify(path)}, { flushMs: 20 }).then(async (writer) => {
        for (let place = 0; ; place += 1) {
          await writer.write('/a', '${STRING}', Buffer.from('000100000200000061000000', 'hex'), BigInt(place))
          console.log(place)
        }
      })`
    const child = spawn(process.execPath, ['-r', 'tsx', '-e', script], { cwd: join(__dirname, '../..') })
    let last = -1
    for await (const line of createInterface({ input: child.stdout })) {
      last = Math.max(last, Number(line))
      if (last >= 5) child.kill('SIGKILL')
    }
    assert.ok(last >= 5)
    assert.deepEqual(readdirSync(folder), ['killed.mcap.part'])
    const { messages } = await read(`${path}.part`)
    assert.ok(messages.length > last)
    assert.deepEqual(
      messages.map(([, logNs]) => Number(logNs)),
      [...messages.keys()],
    )
  })

  it('of many messages few are in memory, and others get their turn', async () => {
    const path = join(folder, 'many.mcap')
    const writer = await ros2.BagWriter.open(path, { maxWaitingBytes: 1 << 30 })
    const cdr = cdrOf('x'.repeat(2000))
    for (let place = 0; place < 100_000; place += 1) {
      writer.write('/a', STRING, cdr, BigInt(place))
      if (place % 2000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await writer.close()
    const { bytes } = writer.stats()
    assert.ok(bytes > 200e6)
    const bag = await ros2.openBag(path)
    const before = process.memoryUsage().rss
    let [count, most] = [0, 0]
    for await (const _ of bag.messages()) {
      count += 1
      if (count % 1000 === 0) most = Math.max(most, process.memoryUsage().rss - before)
    }
    assert.equal(count, 100_000)
    assert.ok(most < bytes / 2, `${most} of ${bytes}`)
    await bag.close()
  })
})

ros2Suite('recordings on the wire', () => {
  it('the bundled recording, over DDS, gives the groups that an oracle finds', async () => {
    const bag = await ros2.openBag(bundled)
    const expected = groupsOf(await stampsOf(bag), 25_000_000n)
    assert.ok(expected.length > 30)
    const { context: robot } = await openContext(140, 'robot')
    const { context, until } = await openContext(140, 'listener')
    const qos = { reliability: 'reliable', history: 'keep-all' } as const
    const publishers = new Map(bag.topics.map(({ topic, type }) => [topic, robot.publish(topic, type, qos)]))
    const synchronizer = new ros2.Synchronizer(context, { windowMs: 25, bufferSize: 1000, qos })
    for (const { topic, type } of bag.topics) synchronizer.addSubscription(type, topic)
    const groups: string[] = []
    let enough = () => {}
    const done = new Promise<void>((resolve) => {
      enough = resolve
    })
    synchronizer.onSynchronized((group) => {
      groups.push(['/camera/image', '/scan', '/imu'].map((topic) => group.stampNs(topic)).join(' '))
      if (groups.length === expected.length) enough()
    })
    await until(() => [...publishers.values()].every((publisher) => publisher.matched() === 1))
    for await (const { topic, data } of bag.messages()) publishers.get(topic)?.send(data)
    // One that is late brings out what could still become better.
    const late = { header: { stamp: { sec: 1_760_000_100, nanosec: 0 } } }
    for (const publisher of publishers.values()) publisher.send(late)
    await done
    assert.deepEqual(groups.slice(0, expected.length), expected)
    await synchronizer.close()
    await Promise.all([...publishers.values()].map((publisher) => publisher.close()))
    await Promise.all([robot.close(), context.close(), bag.close()])
  })
})
