import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type * as Mcap from '@mcap/core'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { mcap, zstd } from './bag-blocks'
import { diskCode, MAX_READ, reason } from './bag-file'
import { type DefinitionSources, Definitions } from './definitions'
import { writeSchema } from './schemas'

type Builder = Mcap.McapRecordBuilder

export interface BagWriterOptions extends DefinitionSources {
  /** Default `none`. */
  compression?: 'none' | 'zstd'
  /** Messages are written together when they are so many bytes. Default 1 MB. */
  chunkBytes?: number
  /** And at the latest after so long: what a crash may cost. Default 1000. */
  flushMs?: number
  /** So many bytes may wait for the disk. Default 64 MB. */
  maxWaitingBytes?: number
}

/** What a recording has so far. */
export interface BagWriterStats {
  messages: number
  /** In the file. */
  bytes: number
}

interface Channel {
  id: number
  schemaId: number
  messages: number
}

/** A chunk in the making. All its messages are told at once that they are in the file. */
interface Chunk {
  builder: Mcap.McapChunkBuilder
  written: Promise<void>
  settle: { resolve(): void; reject(error: unknown): void }
}

const CHUNK_BYTES = 1 << 20
const FLUSH_MS = 1000
const WAITING_BYTES = 64 << 20
const [FOOTER, SCHEMA, CHANNEL, CHUNK_INDEX, STATISTICS] = [2, 3, 4, 8, 11]
/** So that its chunk can be read again. */
const MAX_MESSAGE = MAX_READ / 2
/** The format counts nanoseconds in 64 bits. */
const MAX_NS = 2n ** 64n - 1n

/**
 * Writes an MCAP recording. Until it is finished the file has `.part` behind its name; after a crash that one has
 * everything up to the last second, and plays.
 *
 * ```ts
 * const writer = await ros2.BagWriter.open('drive.mcap', { compression: 'zstd' })
 * await writer.write('/chatter', 'std_msgs/msg/String', cdr, stampNs)
 * await writer.close()
 * ```
 */
export class BagWriter {
  private readonly definitions: Definitions
  private readonly schemas = new Map<string, Mcap.McapTypes.Schema>()
  private readonly channels = new Map<string, Mcap.McapTypes.Channel & Channel>()
  private readonly chunkIndexes: Mcap.McapTypes.ChunkIndex[] = []
  private readonly compress: ((records: Buffer) => Buffer) | undefined
  private chunk: Chunk | undefined
  private timer: NodeJS.Timeout | undefined
  /** The latest write; each waits for the one before. */
  private work: Promise<void> = Promise.resolve()
  private waiting = 0
  private position = 0
  private messages = 0
  private startNs = 0n
  private endNs = 0n
  /** Of the data section so far. */
  private sum = 0
  private failure: EngineError | undefined
  private closing: Promise<void> | undefined

  private constructor(
    /** Where the finished recording will be. */
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly options: BagWriterOptions,
    private readonly mcap: typeof Mcap,
  ) {
    const { distribution, messages, folders } = options
    const sources = Object.entries({ distribution, messages, folders }).filter(([, value]) => value !== undefined)
    this.definitions = new Definitions(Object.fromEntries(sources))
    if (options.compression === 'zstd') this.compress = (records) => zstd().compress(records)
  }

  /** Makes the folder where there is none. A file that is there is not touched. */
  static async open(path: string, options: BagWriterOptions = {}): Promise<BagWriter> {
    const library = mcap()
    if (options.compression === 'zstd') await zstd().isLoaded
    let handle: FileHandle
    try {
      await mkdir(dirname(path), { recursive: true })
      handle = await open(`${path}.part`, 'wx')
    } catch (cause) {
      const code = diskCode(cause) === 'DISK_FULL' ? 'DISK_FULL' : 'INVALID_OPTION'
      throw new EngineError(code, `${quote(path)} cannot be recorded: ${reason(cause)}`, { cause })
    }
    const writer = new BagWriter(path, handle, options, library)
    writer.append((builder) => {
      builder.writeMagic()
      builder.writeHeader({ profile: 'ros2', library: 'millrace' })
    })
    return writer
  }

  stats(): BagWriterStats {
    return { messages: this.messages, bytes: this.position }
  }

  /** How a type is written, for encoding. */
  definitionsOf(type: string): ReturnType<Definitions['resolve']> {
    return this.definitions.resolve(type)
  }

  /**
   * Adds a message of raw CDR with its header; done when it is in the file. A type that is not known is recorded
   * without its definition.
   */
  write(topic: string, type: string, cdr: Buffer, logNs: bigint, publishNs = logNs): Promise<void> {
    if (this.closing) throw new EngineError('CLOSED', `${quote(this.path)} is finished`)
    if (this.failure) throw this.failure
    const { maxWaitingBytes = WAITING_BYTES, chunkBytes = CHUNK_BYTES, flushMs = FLUSH_MS } = this.options
    if (this.waiting > maxWaitingBytes) {
      throw new EngineError('BUFFER_FULL', `${quote(this.path)}: the disk is too slow; send less, or record less`)
    }
    checkMessage(cdr, [logNs, publishNs])
    const isNew = !this.channels.has(`${topic} ${type}`)
    const channel = this.channelOf(topic, type)
    this.chunk ??= this.begin(flushMs)
    const { builder, written } = this.chunk
    if (isNew) this.introduce(builder, channel)
    if (this.messages === 0 || logNs < this.startNs) this.startNs = logNs
    if (this.messages === 0 || logNs > this.endNs) this.endNs = logNs
    builder.addMessage({
      channelId: channel.id,
      sequence: channel.messages,
      logTime: logNs,
      publishTime: publishNs,
      data: cdr,
    })
    channel.messages += 1
    this.messages += 1
    if (builder.byteLength >= chunkBytes) this.flush()
    return written
  }

  /** Finishes the recording, which then has its name. One without messages goes. */
  close(): Promise<void> {
    this.closing ??= this.finish()
    return this.closing
  }

  private begin(flushMs: number): Chunk {
    const { McapChunkBuilder } = this.mcap
    const builder = new McapChunkBuilder({})
    let settle: Chunk['settle'] | undefined
    const written = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject }
    })
    // Those who wrote may not wait for it.
    written.catch(() => {})
    this.timer = setTimeout(() => this.flush(), flushMs)
    return { builder, written, settle: settle as unknown as Chunk['settle'] }
  }

  private channelOf(topic: string, type: string): Mcap.McapTypes.Channel & Channel {
    const key = `${topic} ${type}`
    const known = this.channels.get(key)
    if (known) return known
    const id = this.channels.size
    if (id > 0xffff) throw new EngineError('INVALID_INPUT', `${quote(this.path)}: more than 65536 topics`)
    const channel = {
      id,
      schemaId: this.schemaOf(type).id,
      topic,
      messageEncoding: 'cdr',
      metadata: new Map(),
      messages: 0,
    }
    this.channels.set(key, channel)
    return channel
  }

  private schemaOf(type: string): Mcap.McapTypes.Schema {
    const known = this.schemas.get(type)
    if (known) return known
    const text = this.textOf(type)
    const encoding = text === undefined ? '' : 'ros2msg'
    const schema = { id: this.schemas.size + 1, name: type, encoding, data: Buffer.from(text ?? '') }
    this.schemas.set(type, schema)
    return schema
  }

  private textOf(type: string): string | undefined {
    try {
      return writeSchema(this.definitions.resolve(type))
    } catch (error) {
      if (error instanceof EngineError && error.code === 'UNKNOWN_TYPE') return undefined
      throw error
    }
  }

  /** A type may come with several topics; the first of them brings its definition. */
  private introduce(builder: Mcap.McapChunkBuilder, channel: Mcap.McapTypes.Channel): void {
    const schema = [...this.schemas.values()].find(({ id }) => id === channel.schemaId)
    const isFirst = [...this.channels.values()].every(({ id, schemaId }) => id >= channel.id || schemaId !== schema?.id)
    if (schema && isFirst) builder.addSchema(schema)
    builder.addChannel(channel)
  }

  private flush(): void {
    const { chunk } = this
    clearTimeout(this.timer)
    this.chunk = undefined
    if (!chunk) return
    try {
      this.writeChunk(chunk)
    } catch (error) {
      this.failure ??= toEngineError(error)
      chunk.settle.reject(this.failure)
    }
  }

  private writeChunk({ builder, settle }: Chunk): void {
    const { compress } = this
    const records = asBuffer(builder.buffer)
    const packed = compress ? compress(records) : records
    const start = this.position
    const offsets = new Map<number, bigint>()
    let chunkLength = 0n
    let indexLength = 0n
    const head = {
      messageStartTime: builder.messageStartTime,
      messageEndTime: builder.messageEndTime,
      compression: compress ? 'zstd' : '',
      uncompressedSize: BigInt(records.length),
    }
    this.append((record) => {
      chunkLength = record.writeChunk({ ...head, uncompressedCrc: crc32(records), records: packed })
      for (const index of builder.indices) {
        offsets.set(index.channelId, BigInt(start) + chunkLength + indexLength)
        indexLength += record.writeMessageIndex(index)
      }
    }).then(settle.resolve, settle.reject)
    this.chunkIndexes.push({
      ...head,
      chunkStartOffset: BigInt(start),
      chunkLength,
      messageIndexOffsets: offsets,
      messageIndexLength: indexLength,
      compressedSize: BigInt(packed.length),
    })
  }

  /** Writes records behind all others; `position` moves at once. */
  private append(build: (builder: Builder) => void): Promise<void> {
    const builder = new this.mcap.McapRecordBuilder()
    build(builder)
    const bytes = asBuffer(builder.buffer)
    const at = this.position
    this.position += bytes.length
    this.sum = crc32(bytes, this.sum)
    this.waiting += bytes.length
    const written = this.work
      .then(() => this.writeAll(bytes, at))
      .finally(() => {
        this.waiting -= bytes.length
      })
    // Whoever waits for it sees the failure, and so do all later writes.
    this.work = written.catch(() => {})
    return written
  }

  private async writeAll(bytes: Buffer, at: number): Promise<void> {
    if (this.failure) throw this.failure
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, at + done)
        done += bytesWritten
      }
    } catch (cause) {
      this.failure = this.failed(cause)
      throw this.failure
    }
  }

  private failed(cause: unknown): EngineError {
    if (cause instanceof EngineError) return cause
    const problem = `${quote(this.path)} cannot be written: ${reason(cause)}; what came before is in ${this.path}.part`
    return new EngineError(diskCode(cause), problem, { cause })
  }

  private async finish(): Promise<void> {
    this.flush()
    try {
      const last = this.summary()
      await this.work
      await last
      if (this.failure) throw this.failure
      await this.handle.sync()
    } catch (cause) {
      await this.handle.close().catch(() => {})
      throw this.failed(cause)
    }
    try {
      await this.handle.close()
      const part = `${this.path}.part`
      if (this.messages === 0) await rm(part, { force: true })
      else await this.name(part)
    } catch (cause) {
      throw this.failed(cause)
    }
  }

  /** A link fails where the name is taken, and a rename does not; not every file system has links. */
  private async name(part: string): Promise<void> {
    try {
      await link(part, this.path)
      await rm(part)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
        throw new EngineError('INVALID_OPTION', `${quote(this.path)} is there already; the recording is ${part}`)
      }
      await rename(part, this.path)
    }
  }

  /** What makes the file an indexed one. */
  private summary(): Promise<void> {
    const { sum } = this
    const channels = [...this.channels.values()]
    this.append((builder) => builder.writeDataEnd({ dataSectionCrc: sum }))
    const start = BigInt(this.position)
    const groups: [opcode: number, write: (builder: Builder) => void][] = [
      [SCHEMA, each(this.schemas.values(), (builder, schema) => builder.writeSchema(schema))],
      [CHANNEL, each(channels, (builder, channel) => builder.writeChannel(channel))],
      [STATISTICS, each([this.statistics(channels)], (builder, statistics) => builder.writeStatistics(statistics))],
      [CHUNK_INDEX, each(this.chunkIndexes, (builder, index) => builder.writeChunkIndex(index))],
    ]
    return this.append((builder) => {
      const offsets: Mcap.McapTypes.SummaryOffset[] = []
      for (const [groupOpcode, write] of groups) {
        const before = builder.length
        write(builder)
        const length = builder.length - before
        const groupStart = start + BigInt(before)
        if (length > 0) offsets.push({ groupOpcode, groupStart, groupLength: BigInt(length) })
      }
      const summaryOffsetStart = start + BigInt(builder.length)
      for (const offset of offsets) builder.writeSummaryOffset(offset)
      const footer = Buffer.alloc(25)
      footer[0] = FOOTER
      footer.writeBigUInt64LE(20n, 1)
      footer.writeBigUInt64LE(start, 9)
      footer.writeBigUInt64LE(summaryOffsetStart, 17)
      const summaryCrc = crc32(footer, crc32(asBuffer(builder.buffer)))
      builder.writeFooter({ summaryStart: start, summaryOffsetStart, summaryCrc })
      builder.writeMagic()
    })
  }

  private statistics(channels: Channel[]): Mcap.McapTypes.Statistics {
    return {
      messageCount: BigInt(this.messages),
      schemaCount: this.schemas.size,
      channelCount: channels.length,
      attachmentCount: 0,
      metadataCount: 0,
      chunkCount: this.chunkIndexes.length,
      messageStartTime: this.startNs,
      messageEndTime: this.endNs,
      channelMessageCounts: new Map(channels.map(({ id, messages }) => [id, BigInt(messages)])),
    }
  }
}

function each<T>(items: Iterable<T>, write: (builder: Builder, item: T) => void): (builder: Builder) => void {
  return (builder) => {
    for (const item of items) write(builder, item)
  }
}

function checkMessage(cdr: Buffer, times: bigint[]): void {
  if (cdr.length > MAX_MESSAGE) {
    throw new EngineError(
      'INVALID_INPUT',
      `a message of ${cdr.length} bytes is too large to record; the most is ${MAX_MESSAGE}`,
    )
  }
  for (const time of times) {
    if (time < 0n || time > MAX_NS) {
      throw new EngineError('INVALID_TIMESTAMP', `${time} ns cannot be recorded; give ns since the epoch`)
    }
  }
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
