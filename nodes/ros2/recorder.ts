/** What a `millrace-ros2-bag` node does that records. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { freePlace } from './bag-path'
import type { BagHost } from './bag-session'
import { longType } from './fields'
import { BagWriter, Codec, type DefinitionSources } from './lib'

const STATUS_MS = 1000
const MEGABYTE = 1e6
const MINUTE_MS = 60_000

/** One file of the recording. */
interface Take {
  writer: BagWriter
  codecs: Map<string, Codec>
  beganMs: number
  /** It gets no more messages. */
  isOver: boolean
}

export class Recorder {
  private take: Promise<Take> | undefined
  private current: Take | undefined
  private recording: boolean
  private failure: EngineError | undefined
  /** Files that are being finished. */
  private finishing: Promise<unknown> = Promise.resolve()
  private messages = 0
  private bytes = 0
  private readonly timer: NodeJS.Timeout

  constructor(
    private readonly host: BagHost,
    private readonly sources: DefinitionSources,
  ) {
    this.recording = host.config.start === 'deploy'
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    if (message.payload === 'record' || message.payload === 'stop') {
      this.recording = message.payload === 'record'
      this.failure = undefined
      await this.finish()
      this.show()
      return reply.done()
    }
    if (!this.recording) return reply.done()
    if (this.failure) throw this.failure
    const { topic, type } = this.named(message)
    let take = await this.open()
    // A message that waited, too, may have filled it. From here to the write there must be no wait.
    while (take.isOver) take = await this.open()
    const { writer } = take
    const cdr = this.cdrOf(message.payload, type, take)
    const logNs = nsOf(message, 'receivedNs') ?? now()
    const written = writer.write(topic, type, cdr, logNs, nsOf(message, 'publishedNs') ?? logNs)
    this.messages += 1
    this.rotate(take)
    try {
      await written
    } catch (error) {
      this.fail(error)
      await this.finish()
      throw this.failure
    }
    reply.done()
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.finish()
  }

  /** The file that is open, or the next one. */
  private open(): Promise<Take> {
    this.take ??= this.begin()
    return this.take
  }

  private async begin(): Promise<Take> {
    const { path, compression } = this.host.config
    try {
      const place = freePlace(path, this.host.RED.settings.userDir, new Date())
      const writer = await BagWriter.open(place, { ...this.sources, compression })
      this.tell({ event: 'begin', path: place })
      this.current = { writer, codecs: new Map(), beganMs: performance.now(), isOver: false }
      this.show()
      return this.current
    } catch (error) {
      this.take = undefined
      throw this.fail(error)
    }
  }

  private named({ topic, ros2 }: Message): { topic: string; type: string } {
    if (typeof topic !== 'string' || topic === '') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.topic', { given: quote(topic) }))
    }
    const type = this.host.config.messageType || (ros2 as { type?: unknown } | undefined)?.type
    if (typeof type !== 'string' || type === '') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.type', { topic }))
    }
    return { topic, type: longType(type) }
  }

  private cdrOf(payload: unknown, type: string, { writer, codecs }: Take): Buffer {
    if (Buffer.isBuffer(payload)) return payload
    if (payload === null || typeof payload !== 'object') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', { given: quote(payload), type }))
    }
    const codec = codecs.get(type) ?? new Codec(type, writer.definitionsOf(type))
    codecs.set(type, codec)
    return codec.encode(payload)
  }

  /** The next message goes to a new file. */
  private rotate({ writer, beganMs }: Take): void {
    const { maxMegabytes, maxMinutes } = this.host.config
    const isLarge = maxMegabytes !== null && writer.stats().bytes >= maxMegabytes * MEGABYTE
    const isLong = maxMinutes !== null && performance.now() - beganMs >= maxMinutes * MINUTE_MS
    if (isLarge || isLong) this.finish().catch(() => {})
  }

  /** Ends the file, if there is one. A failure is told once. */
  private async finish(): Promise<void> {
    const { take, current } = this
    this.take = undefined
    if (current) current.isOver = true
    this.finishing = Promise.all([this.finishing, take?.then((one) => this.end(one)).catch(() => {})])
    await this.finishing
  }

  private async end({ writer }: Take): Promise<void> {
    try {
      await writer.close()
      const { messages, bytes } = writer.stats()
      this.bytes += bytes
      if (messages > 0) this.tell({ event: 'end', path: writer.path, messages, bytes })
    } catch (error) {
      // Messages that were not written have told of it.
      const isKnown = this.failure !== undefined
      if (!isKnown) this.host.node.error(this.fail(error))
    } finally {
      if (this.current?.writer === writer) this.current = undefined
      this.show()
    }
  }

  /** The file is given up; what is in it stays. The next command tries anew. */
  private fail(error: unknown): EngineError {
    this.failure ??= toEngineError(error)
    this.show()
    return this.failure
  }

  private tell(payload: Record<string, unknown>): void {
    this.host.node.send([null, { payload }] as never)
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { failure, recording, messages, current } = this
    if (failure) return { fill: 'red', shape: 'ring', text: this.host.text(`error.${failure.code}`) }
    if (!recording) return { fill: 'grey', shape: 'ring', text: this.host.text('status.off') }
    const params = { messages: short(messages), bytes: short(this.bytes + (current?.writer.stats().bytes ?? 0)) }
    const text = this.host.text('status.recording', params)
    return counted(messages, text)
  }
}

/** A time that came with the message, as text. */
function nsOf({ ros2 }: Message, name: 'receivedNs' | 'publishedNs'): bigint | undefined {
  const given = (ros2 as Record<string, unknown> | undefined)?.[name]
  return typeof given === 'string' && /^\d{1,19}$/.test(given) ? BigInt(given) : undefined
}

function now(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6))
}
