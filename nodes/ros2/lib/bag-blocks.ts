/** Blocks: stretches of a recording that are read as a whole, with the messages in them. */
import { crc32 } from 'node:zlib'
import type * as Zstd from '@foxglove/wasm-zstd'
import type * as Mcap from '@mcap/core'
import { EngineError, quote } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { type Bytes, MAX_READ } from './bag-file'
import { unpackLz4 } from './lz4'

export const mcap = () => optional<typeof Mcap>('@mcap/core', 'recordings')
export const zstd = () => optional<typeof Zstd>('@foxglove/wasm-zstd', 'recordings packed with zstd')

export const RECORD_HEAD = 9
export const OPCODE = { footer: 2, schema: 3, channel: 4, message: 5, chunk: 6, dataEnd: 15 } as const
/** Of a chunk, up to the name of its compression. */
const CHUNK_HEAD = 28
const MESSAGE_HEAD = 22

export interface Block {
  offset: number
  length: number
  /** Of all its messages, as it says. */
  startNs: bigint
  endNs: bigint
  /** Bytes in memory. */
  size: number
  /** A chunk, or messages that lie in the file as they are. */
  chunk: boolean
  /** The channels in it, where an index tells. */
  channels?: ReadonlySet<number>
}

export interface RawMessage {
  channelId: number
  sequence: number
  logNs: bigint
  publishNs: bigint
  data: Buffer
}

/** Schemas and channels by their ids. */
export class Catalogue {
  readonly schemas = new Map<number, Mcap.McapTypes.Schema>()
  readonly channels = new Map<number, Mcap.McapTypes.Channel>()

  /** A schema or a channel, with the head of its record. What was first said of an id holds. */
  learn(record: Buffer): void {
    const { McapStreamReader } = mcap()
    const reader = new McapStreamReader({ noMagicPrefix: true })
    reader.append(record)
    const found = reader.nextRecord()
    if (found?.type === 'Schema' && !this.schemas.has(found.id)) this.schemas.set(found.id, found)
    if (found?.type === 'Channel' && !this.channels.has(found.id)) this.channels.set(found.id, found)
  }
}

/** The messages of a block by log time. `catalogue` learns what the block says of channels. */
export async function readBlock(bytes: Bytes, block: Block, catalogue: Catalogue): Promise<RawMessage[]> {
  const raw = await bytes.read(block.offset, block.length)
  const records = block.chunk ? await unpack(raw) : raw
  const messages = messagesIn(records, catalogue)
  const inOrder = messages.every((message, place) => place === 0 || before(messages[place - 1], message))
  if (!inOrder) messages.sort((a, b) => (a.logNs < b.logNs ? -1 : a.logNs > b.logNs ? 1 : 0))
  return messages
}

const before = (one: RawMessage | undefined, other: RawMessage) => one !== undefined && one.logNs <= other.logNs

/** What the head of a chunk says; undefined where it is no whole head. */
export function chunkHead(content: Buffer): Pick<Block, 'startNs' | 'endNs' | 'size'> | undefined {
  if (content.length < CHUNK_HEAD) return undefined
  const size = Number(content.readBigUInt64LE(16))
  return { startNs: content.readBigUInt64LE(0), endNs: content.readBigUInt64LE(8), size }
}

async function unpack(record: Buffer): Promise<Buffer> {
  const content = record.subarray(RECORD_HEAD)
  const nameLength = content.length < CHUNK_HEAD + 4 ? Number.POSITIVE_INFINITY : content.readUInt32LE(CHUNK_HEAD)
  const from = CHUNK_HEAD + 4 + nameLength + 8
  if (record[0] !== OPCODE.chunk || from > content.length) throw damaged('a chunk has no whole head')
  const size = Number(content.readBigUInt64LE(16))
  const sum = content.readUInt32LE(24)
  const compression = content.toString('utf8', CHUNK_HEAD + 4, CHUNK_HEAD + 4 + nameLength)
  const packed = content.subarray(from, from + Number(content.readBigUInt64LE(from - 8)))
  if (size > MAX_READ) throw damaged(`a chunk of ${size} bytes is more than ${MAX_READ}`)
  const records = await unpacked(packed, compression, size)
  if (records.length !== size) throw damaged(`a chunk has ${records.length} bytes instead of ${size}`)
  if (sum !== 0 && crc32(records) !== sum) throw damaged('the checksum of a chunk is wrong')
  return records
}

async function unpacked(packed: Buffer, compression: string, size: number): Promise<Buffer> {
  if (compression === '') return packed
  if (compression === 'lz4') return unpackLz4(packed, size)
  if (compression !== 'zstd') {
    throw new EngineError('INVALID_INPUT', `the compression ${quote(compression)} is unknown; there are lz4 and zstd`)
  }
  const { decompress, isLoaded } = zstd()
  await isLoaded
  try {
    return decompress(packed, size)
  } catch {
    throw damaged(`zstd: ${packed.length} packed bytes do not give ${size}`)
  }
}

function messagesIn(records: Buffer, catalogue: Catalogue): RawMessage[] {
  const messages: RawMessage[] = []
  let at = 0
  while (at < records.length) {
    const end = recordEnd(records, at)
    if (end > records.length) throw damaged('a record is longer than its chunk')
    const opcode = records[at]
    if (opcode === OPCODE.message) messages.push(messageAt(records, at + RECORD_HEAD, end))
    else if (opcode === OPCODE.schema || opcode === OPCODE.channel) learn(catalogue, records.subarray(at, end))
    at = end
  }
  return messages
}

/** The end of the record at `at`; beyond everything where its head is not whole. */
export function recordEnd(records: Buffer, at: number): number {
  if (at + RECORD_HEAD > records.length) return Number.POSITIVE_INFINITY
  return at + RECORD_HEAD + Number(records.readBigUInt64LE(at + 1))
}

export function messageAt(records: Buffer, at: number, end: number): RawMessage {
  if (end - at < MESSAGE_HEAD) throw damaged('a message has no whole head')
  return {
    channelId: records.readUInt16LE(at),
    sequence: records.readUInt32LE(at + 2),
    logNs: records.readBigUInt64LE(at + 6),
    publishNs: records.readBigUInt64LE(at + 14),
    data: records.subarray(at + MESSAGE_HEAD, end),
  }
}

function learn(catalogue: Catalogue, record: Buffer): void {
  try {
    catalogue.learn(record)
  } catch (cause) {
    if (cause instanceof EngineError) throw cause
    throw damaged(String(cause instanceof Error ? cause.message : cause))
  }
}

export function damaged(what: string): EngineError {
  return new EngineError('STORE_CORRUPT', `${what}; the recording is damaged`)
}

/** What lies behind it can still be read. The disk's own failures concern all. */
export function isPassable(error: unknown): error is EngineError {
  return error instanceof EngineError && (error.code === 'STORE_CORRUPT' || error.code === 'INVALID_INPUT')
}
