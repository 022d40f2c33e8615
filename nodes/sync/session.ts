/** What a `millrace-sync` node does between its opening and its close. */
import { EngineError, type ErrorCode, quote } from '../shared/errors'
import { MATCHING } from '../shared/matching.config'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { Learning } from './learning'
import { type Dropped, type DropReason, type SyncGroup, Synchronizer } from './lib'
import type { LiveOptions, SyncOptions } from './lib/options'
import { messageReader } from './reader'
import type { SyncConfig, syncConfig } from './sync.config'

type SyncHost = Host<(typeof syncConfig)['fields']>

/** A message on its way through the node, with the way to answer it. */
export interface Waiting {
  message: Message
  reply: Reply
}

/** Refused messages fail with these codes; what was buffered first leaves without an error. */
const REFUSED: Partial<Record<DropReason, ErrorCode>> = {
  late: 'LATE',
  'out-of-order': 'OUT_OF_ORDER',
  full: 'BUFFER_FULL',
  'unknown-topic': 'UNKNOWN_TOPIC',
  'clock-jump': 'CLOCK_JUMP',
}

const REJECTS = 1
const WATCH_MS = 1000
/** A longer timer fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1
/** Topic names offered in the dialog. */
const SEEN_MAX = 200

export class Session {
  private sync: Synchronizer<Waiting> | Learning<Waiting>
  private options: SyncOptions
  private readonly reader: ReturnType<typeof messageReader>
  private readonly seen = new Set<string>()
  private readonly watching: NodeJS.Timeout
  private delay: NodeJS.Timeout | undefined
  private stalled: string[] = []
  /** Since the node opened. */
  private groups = 0
  private dropped = 0
  /** Clock jumps of the synchroniser that were told. */
  private jumps = 0
  private closing = false

  constructor(private readonly host: SyncHost) {
    const { config, RED, node } = host
    this.options = boundBuffer(optionsOf(config), host)
    this.reader = messageReader(RED, node, config)
    this.sync = this.start()
    this.watching = setInterval(
      host.guard(() => this.watch()),
      WATCH_MS,
    ).unref()
    this.showStatus()
  }

  input(message: Message, reply: Reply): void | Promise<void> {
    if (message.reset) return this.control(reply, () => this.reset())
    if (message.flush) return this.control(reply, () => this.sync.flush())
    const changes = liveOptions(message.sync)
    // Options may come alone, or with the first message that they are for.
    if (changes && message.topic === undefined) return this.control(reply, () => this.change(changes))
    if (changes) this.change(changes)
    return this.reader.read(message, (topic, stamp) => this.push(topic, stamp, { message, reply }))
  }

  /** Topics seen so far, for the dialog. */
  topics(): string[] {
    return [...this.seen].sort()
  }

  close(): void {
    this.closing = true
    clearInterval(this.watching)
    clearTimeout(this.delay)
    this.sync.reset()
  }

  private start(): Synchronizer<Waiting> | Learning<Waiting> {
    const { topics, learn } = this.host.config
    const onDrop = (dropped: Dropped<Waiting>) => this.dropOne(dropped)
    if (topics.length === 0) return new Learning(learn, this.options, onDrop)
    return new Synchronizer(
      topics.map((row) => row.topic),
      this.options,
      onDrop,
    )
  }

  private control(reply: Reply, act: () => void): void | Promise<void> {
    return this.reader.inTurn(() => {
      if (!this.closing) {
        act()
        this.deliver()
      }
      reply.done()
    })
  }

  private push(topic: string, stamp: bigint, waiting: Waiting): void {
    // JSONata may end after the node did.
    if (this.closing) return waiting.reply.done()
    if (this.seen.size < SEEN_MAX) this.seen.add(topic)
    this.sync.push(topic, stamp, waiting)
    if (this.sync instanceof Learning) this.sync = this.sync.learned() ?? this.sync
    this.deliver()
  }

  private reset(): void {
    this.sync.reset()
    this.stalled = []
    // Learned topics are learned anew.
    if (this.host.config.topics.length === 0) this.sync = this.start()
    if (this.sync instanceof Learning) this.jumps = 0
  }

  private change(changes: LiveOptions): void {
    const bounded = boundBuffer(changes, this.host)
    // First where it is checked: a wrong option must not stay.
    this.sync.setOptions(bounded)
    this.options = { ...this.options, ...bounded }
  }

  private deliver(): void {
    for (const group of this.sync) this.emit(group)
    this.showStatus()
    this.watchDelay()
  }

  /** Groups that `maxDelayMs` lets go leave without a message that brings them out. */
  private watchDelay(): void {
    clearTimeout(this.delay)
    const due = this.sync.dueInMs()
    if (due === null) return
    const deliver = this.host.guard(() => this.deliver())
    this.delay = setTimeout(deliver, Math.min(Math.ceil(due), TIMER_MAX_MS)).unref()
  }

  private emit(group: SyncGroup<Waiting>): void {
    this.groups += 1
    this.stalled = []
    const topics = group.topics()
    const waiting = topics.map((topic) => group.get(topic) as Waiting)
    const [first] = waiting as [Waiting]
    const payload = Object.fromEntries(topics.map((topic, place) => [topic, waiting[place]?.message.payload]))
    const stamps = Object.fromEntries(topics.map((topic) => [topic, String(group.stampNs(topic))]))
    const message = first.message
    delete message.topic
    message.payload = payload
    message.sync = { timestampNs: String(group.timestampNs), skewMs: Number(group.skewNs) / 1e6, topics, stamps }
    first.reply.send([message, null])
    for (const { reply } of waiting) reply.done()
  }

  private dropOne({ topic, message: { message, reply }, reason, refused }: Dropped<Waiting>): void {
    this.dropped += 1
    if (this.closing) return reply.done()
    if (this.host.wired(REJECTS)) {
      const before = isObject(message.sync) ? message.sync : {}
      message.sync = { ...before, reason }
      reply.send([null, message])
      return reply.done()
    }
    const code = refused ? REFUSED[reason] : undefined
    reply.done(code && new EngineError(code, `topic ${quote(topic)}: ${this.host.text(`reason.${reason}`)}`))
  }

  /** Says what a person should know, once each: a stall, and a clock that jumped. */
  private watch(): void {
    const warn = (key: string, params: Record<string, string | number>) =>
      this.host.node.warn(this.host.text(`warning.${key}`, params))
    const topics = this.sync.stall()
    if (this.sync instanceof Learning) {
      if (topics) warn('learning', { wanted: this.host.config.learn, topics: topics.join(', ') })
      return
    }
    const { clockJumps, lastJump } = this.sync.stats()
    if (clockJumps > this.jumps) warn('clockJump', { topic: lastJump ?? '' })
    this.jumps = clockJumps
    if (!topics) return
    this.stalled = topics
    warn('stall', { topics: topics.join(', ') })
    this.showStatus()
  }

  private showStatus(): void {
    this.host.status(() => {
      const [stalled] = this.stalled
      if (stalled !== undefined) {
        return { fill: 'yellow', shape: 'ring', text: this.host.text('status.stalled', { topic: stalled }) }
      }
      const counts = { groups: short(this.groups), dropped: short(this.dropped) }
      if (this.groups + this.dropped > 0) {
        return { fill: 'green', shape: 'dot', text: this.host.text('status.counts', counts) }
      }
      return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
    })
  }
}

function optionsOf(config: SyncConfig): SyncOptions {
  const { topics } = config
  const options: SyncOptions = Object.fromEntries(MATCHING.map((name) => [name, config[name]]))
  if (topics.length === 0) return options
  const periods = topics.flatMap((row) => (row.minPeriodMs === null ? [] : [[row.topic, row.minPeriodMs] as const]))
  return {
    ...options,
    required: topics.filter((row) => row.required).map((row) => row.topic),
    minPeriodMs: Object.fromEntries(periods),
  }
}

/** Node-RED's limit for all messages that a node may hold, shared by the topics. */
function boundBuffer<O extends LiveOptions>(options: O, { RED, config: { topics, learn } }: SyncHost): O {
  const limit = RED.settings.nodeMessageBufferMaxLength
  if (typeof limit !== 'number' || !(limit > 0)) return options
  const share = Math.max(2, Math.floor(limit / (topics.length || learn)))
  return (options.bufferSize ?? 0) > share ? { ...options, bufferSize: share } : options
}

function liveOptions(value: unknown): LiveOptions | undefined {
  if (!isObject(value)) return undefined
  const given = MATCHING.filter((name) => value[name] !== undefined)
  return given.length > 0 ? Object.fromEntries(given.map((name) => [name, value[name]])) : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
