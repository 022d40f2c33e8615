import { EngineError, quote, toEngineError } from '../../shared/errors'
import { type Block, isPassable, type RawMessage, readBlock } from './bag-blocks'
import { type Bytes, bytesOf } from './bag-file'
import { type BagProblem, type Index, indexOf } from './bag-index'
import { Codec, type DecodeOptions } from './codec'
import { type Definition, type DefinitionSources, Definitions } from './definitions'
import { parseSchema } from './schemas'

export type { BagProblem } from './bag-index'

export interface BagTopic {
  topic: string
  /** As the recording names it. */
  type: string
  /** How messages are encoded: `cdr`, `json`, `ros1`, … */
  encoding: string
  /** Null where the file does not tell. */
  count: number | null
  /** The definition's text, and its form: `ros2msg`, `ros2idl`, … */
  schema: string
  schemaEncoding: string
}

export interface BagMessage {
  topic: string
  type: string
  encoding: string
  sequence: number
  /** When it was recorded, ns since the epoch. */
  logNs: bigint
  publishNs: bigint
  /** As it was recorded; CDR has its header. A view of a larger piece of the recording. */
  data: Buffer
}

export interface BagRange {
  /** Only these. Default: all. */
  topics?: readonly string[]
  /** From this log time on. */
  fromNs?: bigint
  /** Called for each part that cannot be read; the rest goes on. */
  onProblem?: (problem: BagProblem) => void
}

/** So many bytes of blocks that overlap in time are open at once. With more of them, order gives way. */
const MAX_OPEN = 512 << 20

/**
 * Opens an MCAP recording: a file, which stays on the disk, or a Buffer. `sources` has the types whose definitions it
 * lacks.
 */
export async function openBag(from: string | Buffer, sources: DefinitionSources = {}): Promise<Bag> {
  const bytes = await bytesOf(from)
  try {
    return new Bag(bytes, await indexOf(bytes), sources)
  } catch (error) {
    await bytes.close()
    throw toEngineError(error)
  }
}

/**
 * A recording of messages.
 *
 * ```ts
 * const bag = await ros2.openBag('drive.mcap')
 * for await (const message of bag.messages({ topics: ['/scan'] })) use(message.logNs, bag.decode(message))
 * await bag.close()
 * ```
 */
export class Bag {
  /** Log times of the first and the last message; null where there is none. */
  readonly startNs: bigint | null
  readonly endNs: bigint | null
  private readonly codecs = new Map<string, Codec>()

  /** @internal */
  constructor(
    private readonly bytes: Bytes,
    private readonly index: Index,
    private readonly sources: DefinitionSources,
  ) {
    // Files need not have their chunks in order.
    index.blocks.sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : a.offset - b.offset))
    this.startNs = index.blocks[0]?.startNs ?? null
    this.endNs = index.blocks.reduce<bigint | null>((end, b) => (end === null || b.endNs > end ? b.endNs : end), null)
  }

  /** Whether the file has an index; one that was cut off has none. */
  get indexed(): boolean {
    return this.index.indexed
  }

  /** What of the file is known to be lost. */
  get problems(): readonly BagProblem[] {
    return this.index.problems
  }

  get topics(): BagTopic[] {
    const { catalogue, counts } = this.index
    return [...catalogue.channels.values()].map(({ id, topic, messageEncoding, schemaId }) => {
      const schema = catalogue.schemas.get(schemaId)
      return {
        topic,
        type: schema?.name ?? '',
        encoding: messageEncoding,
        count: counts ? (counts.get(id) ?? 0) : null,
        schema: Buffer.from(schema?.data ?? []).toString('utf8'),
        schemaEncoding: schema?.encoding ?? '',
      }
    })
  }

  /** All messages in the order of their log times. */
  async *messages({ topics, fromNs = 0n, onProblem = () => {} }: BagRange = {}): AsyncGenerator<BagMessage> {
    const wanted = topics && new Set(topics)
    const { catalogue } = this.index
    const isWanted = (id: number) => !wanted || wanted.has(catalogue.channels.get(id)?.topic ?? '')
    const blocks = this.index.blocks.filter(
      ({ endNs, channels }) => endNs >= fromNs && (!wanted || !channels || [...channels].some(isWanted)),
    )
    const open: Cursor[] = []
    let next = 0
    let held = 0
    for (;;) {
      // All blocks that may have the next message are open.
      for (let block = blocks[next]; block && isDue(block, open, held); block = blocks[next]) {
        next += 1
        const messages = await this.read(block, onProblem)
        const cursor = new Cursor(
          messages.filter(({ logNs, channelId }) => logNs >= fromNs && isWanted(channelId)),
          block,
        )
        if (!cursor.head) continue
        held += block.size
        open.push(cursor)
      }
      const first = earliest(open)
      if (!first) return
      const { channelId, ...message } = first.take()
      if (!first.head) {
        open.splice(open.indexOf(first), 1)
        held -= first.block.size
      }
      const channel = catalogue.channels.get(channelId)
      if (!channel) {
        const error = new EngineError('STORE_CORRUPT', `the recording does not tell what its channel ${channelId} is`)
        onProblem({ offset: first.block.offset, bytes: message.data.length, error })
        continue
      }
      const type = catalogue.schemas.get(channel.schemaId)?.name ?? ''
      yield { topic: channel.topic, type, encoding: channel.messageEncoding, ...message }
    }
  }

  /** A message as an object, by the recording's own definition of its type. */
  decode(message: BagMessage, options: DecodeOptions = {}): Record<string, unknown> {
    if (message.encoding === 'json') return parseJson(message)
    return this.codec(message, options).decode(message.data)
  }

  /** What a type contains, by the recording's own definition. */
  definitions({ type, encoding }: Pick<BagMessage, 'type' | 'encoding'>): Definition[] {
    if (encoding !== 'cdr') throw undecodable(type, `its messages are encoded as ${quote(encoding)}`)
    const schemas = [...this.index.catalogue.schemas.values()]
    const schema = schemas.find(({ name }) => name === type)
    if (schema?.encoding === 'ros2msg') return parseSchema(type, Buffer.from(schema.data).toString('utf8'))
    try {
      // Of a type that is known the form of the definition does not matter.
      return new Definitions(this.sources).resolve(type)
    } catch (cause) {
      if (!(cause instanceof EngineError) || cause.code === 'PACKAGE_MISSING') throw cause
      throw undecodable(type, `its definition has the form ${quote(schema?.encoding ?? '')}, not ros2msg`)
    }
  }

  close(): Promise<void> {
    return this.bytes.close()
  }

  private codec(message: BagMessage, options: DecodeOptions): Codec {
    const key = `${message.type} ${message.encoding} ${options.int64} ${options.arrays}`
    const known = this.codecs.get(key)
    if (known) return known
    const codec = new Codec(message.type, this.definitions(message), options)
    this.codecs.set(key, codec)
    return codec
  }

  private async read(block: Block, onProblem: (problem: BagProblem) => void): Promise<RawMessage[]> {
    try {
      return await readBlock(this.bytes, block, this.index.catalogue)
    } catch (error) {
      if (!isPassable(error)) throw error
      onProblem({ offset: block.offset, bytes: block.length, error })
      return []
    }
  }
}

/** A block, read up to some message. */
class Cursor {
  private at = 0

  constructor(
    private readonly messages: RawMessage[],
    readonly block: Block,
  ) {}

  get head(): RawMessage | undefined {
    return this.messages[this.at]
  }

  take(): RawMessage {
    this.at += 1
    return this.messages[this.at - 1] as RawMessage
  }
}

function isDue(block: Block, open: Cursor[], held: number): boolean {
  const first = earliest(open)?.head
  return !first || (block.startNs <= first.logNs && held + block.size <= MAX_OPEN)
}

/** Of equal times the one that was opened first. */
function earliest(open: Cursor[]): Cursor | undefined {
  let first = open[0]
  for (const cursor of open) if ((cursor.head?.logNs ?? 0n) < (first?.head?.logNs ?? 0n)) first = cursor
  return first
}

function parseJson({ data, topic }: BagMessage): Record<string, unknown> {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (cause) {
    throw new EngineError('INVALID_INPUT', `${topic}: the message is no JSON: ${quote(data.toString('utf8'))}`, {
      cause,
    })
  }
}

function undecodable(type: string, why: string): EngineError {
  return new EngineError('UNKNOWN_TYPE', `${quote(type)} cannot be decoded, as ${why}; take it raw`)
}
