/** Where in a recording its messages are: by its own index, or by one pass over the file where it has none. */
import type * as Mcap from '@mcap/core'
import { EngineError, toEngineError } from '../../shared/errors'
import {
  type Block,
  Catalogue,
  chunkHead,
  damaged,
  isPassable,
  mcap,
  messageAt,
  OPCODE,
  type RawMessage,
  RECORD_HEAD,
  readBlock,
} from './bag-blocks'
import { type Bytes, reason } from './bag-file'

/** A part of a recording that cannot be played. */
export interface BagProblem {
  /** Where in the file it begins. */
  offset: number
  /** So much of the file is concerned. */
  bytes: number
  error: EngineError
}

export interface Index {
  blocks: Block[]
  catalogue: Catalogue
  /** Messages by channel; null where the file does not tell. */
  counts: Map<number, number> | null
  /** The file has its own. */
  indexed: boolean
  problems: BagProblem[]
}

const MAGIC = Buffer.from([0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a])
/** Messages that lie in the file as they are, are read in blocks of so many bytes. */
const LOOSE_BYTES = 1 << 20
/** Read at a time in a pass over the file. */
const WINDOW = 1 << 20
const CHUNK_HEAD_READ = 28

export async function indexOf(bytes: Bytes): Promise<Index> {
  const magic = bytes.size < MAGIC.length ? Buffer.alloc(0) : await bytes.read(0, MAGIC.length)
  if (!magic.equals(MAGIC)) throw new EngineError('INVALID_INPUT', 'this is no MCAP recording; rosbag2 makes them')
  return (await fromSummary(bytes)) ?? new Scan(bytes).run()
}

/** Undefined where the file has no index, or none that can be trusted. */
async function fromSummary(bytes: Bytes): Promise<Index | undefined> {
  const { McapIndexedReader } = mcap()
  const readable = {
    size: async () => BigInt(bytes.size),
    read: (offset: bigint, size: bigint) => bytes.read(Number(offset), Number(size)),
  }
  let reader: Mcap.McapIndexedReader
  try {
    reader = await McapIndexedReader.Initialize({ readable })
  } catch (cause) {
    // A disk that fails is no matter of the index.
    if (cause instanceof EngineError && cause.retryable) throw cause
    return undefined
  }
  const { chunkIndexes, statistics, channelsById, schemasById } = reader
  const blocks = chunkIndexes.map(
    (chunk): Block => ({
      offset: Number(chunk.chunkStartOffset),
      length: Number(chunk.chunkLength),
      startNs: chunk.messageStartTime,
      endNs: chunk.messageEndTime,
      size: Number(chunk.uncompressedSize),
      chunk: true,
      // A file may index its chunks and not their messages.
      ...(chunk.messageIndexOffsets.size > 0 && { channels: new Set(chunk.messageIndexOffsets.keys()) }),
    }),
  )
  const isComplete =
    statistics !== undefined &&
    statistics.chunkCount === blocks.length &&
    statistics.channelCount === channelsById.size &&
    (blocks.length > 0 || statistics.messageCount === 0n) &&
    blocks.every(({ offset, length }) => offset + length <= bytes.size)
  if (!isComplete) return undefined
  const catalogue = new Catalogue()
  for (const [id, schema] of schemasById) catalogue.schemas.set(id, schema)
  for (const [id, channel] of channelsById) catalogue.channels.set(id, channel)
  const counts = new Map([...statistics.channelMessageCounts].map(([id, count]) => [id, Number(count)]))
  const told = [...counts.values()].reduce((sum, count) => sum + count, 0) === Number(statistics.messageCount)
  return { blocks, catalogue, counts: told ? counts : null, indexed: true, problems: [] }
}

/** One pass over a file without an index. Whatever is whole is found. */
class Scan {
  private readonly blocks: Block[] = []
  private readonly catalogue = new Catalogue()
  private readonly counts = new Map<number, number>()
  private readonly problems: BagProblem[] = []
  private window: Buffer = Buffer.alloc(0)
  private windowAt = 0
  private loose: Block | undefined

  constructor(private readonly bytes: Bytes) {}

  async run(): Promise<Index> {
    let at = MAGIC.length
    let ended = false
    while (!ended) {
      const head = await this.look(at, RECORD_HEAD)
      const end = head.length < RECORD_HEAD ? Number.POSITIVE_INFINITY : at + RECORD_HEAD + lengthOf(head)
      if (end > this.bytes.size || head[0] === 0) {
        this.report(at, this.bytes.size - at, 'the recording was cut here, or is damaged')
        break
      }
      ended = head[0] === OPCODE.dataEnd || head[0] === OPCODE.footer
      await this.record(head[0] as number, at, end)
      at = end
    }
    const { blocks, catalogue, counts, problems } = this
    return { blocks, catalogue, counts, indexed: false, problems }
  }

  private async record(opcode: number, at: number, end: number): Promise<void> {
    switch (opcode) {
      case OPCODE.chunk:
        return this.chunk(at, end)
      case OPCODE.message:
        return this.message(at, end)
      case OPCODE.schema:
      case OPCODE.channel:
        return this.guarded(at, end, async () => this.catalogue.learn(await this.bytes.read(at, end - at)))
    }
  }

  private async chunk(at: number, end: number): Promise<void> {
    await this.guarded(at, end, async () => {
      const head = chunkHead(await this.look(at + RECORD_HEAD, Math.min(CHUNK_HEAD_READ, end - at - RECORD_HEAD)))
      if (!head) throw damaged('a chunk has no whole head')
      const block = { offset: at, length: end - at, ...head, chunk: true }
      const messages = await readBlock(this.bytes, block, this.catalogue)
      for (const message of messages) this.count(message)
      this.blocks.push({ ...block, channels: new Set(messages.map(({ channelId }) => channelId)) })
      this.loose = undefined
    })
  }

  private async message(at: number, end: number): Promise<void> {
    await this.guarded(at, end, async () => {
      const head = await this.look(at + RECORD_HEAD, Math.min(22, end - at - RECORD_HEAD))
      const message = messageAt(head, 0, head.length)
      this.count(message)
      const { loose } = this
      if (loose && loose.offset + loose.length === at && loose.length + end - at <= LOOSE_BYTES) {
        loose.length += end - at
        loose.size = loose.length
        if (message.logNs < loose.startNs) loose.startNs = message.logNs
        if (message.logNs > loose.endNs) loose.endNs = message.logNs
        return
      }
      const times = { startNs: message.logNs, endNs: message.logNs }
      this.loose = { offset: at, length: end - at, size: end - at, ...times, chunk: false }
      this.blocks.push(this.loose)
    })
  }

  private count({ channelId }: RawMessage): void {
    this.counts.set(channelId, (this.counts.get(channelId) ?? 0) + 1)
  }

  /** What is damaged is reported, and the rest goes on; what is missing on this machine is not damage. */
  private async guarded(at: number, end: number, read: () => Promise<void>): Promise<void> {
    try {
      await read()
    } catch (error) {
      if (error instanceof EngineError && !isPassable(error)) throw error
      this.report(at, end - at, error)
    }
  }

  private report(offset: number, bytes: number, what: unknown): void {
    const error = what instanceof EngineError ? what : damaged(typeof what === 'string' ? what : reason(what))
    this.problems.push({ offset, bytes, error: toEngineError(error) })
  }

  /** Bytes at a place, as many of `size` as there are. */
  private async look(at: number, size: number): Promise<Buffer> {
    const from = at - this.windowAt
    if (from < 0 || from + size > this.window.length) {
      this.window = await this.bytes.read(at, Math.min(WINDOW, Math.max(0, this.bytes.size - at)))
      this.windowAt = at
      return this.window.subarray(0, size)
    }
    return this.window.subarray(from, from + size)
  }
}

function lengthOf(head: Buffer): number {
  return Number(head.readBigUInt64LE(1))
}
