import type { SyncMatcher, SyncProtocol } from '#native'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { type Entry, SyncGroup } from '../../shared/group'
import { engine, native } from '../../shared/native'
import { allJson } from '../../shared/options'
import { type LiveOptions, type SyncOptions, toJson } from './options'

/** What became of a push. Only `accepted` and, unless it is refused, `clock-jump` are buffered. */
export type PushOutcome = 'accepted' | 'late' | 'out-of-order' | 'full' | 'unknown-topic' | 'clock-jump'

/** Why a message left without a group. */
export type DropReason =
  | 'unmatched'
  | 'full'
  | 'timeout'
  | 'replaced'
  | 'clock-jump'
  | 'reset'
  | 'flush'
  | 'late'
  | 'out-of-order'
  | 'unknown-topic'

/** A message that left without a group. */
export interface Dropped<T> extends Entry<T> {
  readonly reason: DropReason
  /** It was never buffered: its push was refused. */
  readonly refused: boolean
}

export interface MatchStatus {
  /** `ready` when a group can be polled; else what keeps the next one from leaving. */
  blocked: 'ready' | 'waiting-for-data' | 'spread-too-narrow' | 'buffer-full'
  /** The topics that it waits for. */
  topics: string[]
  /** The latest of the oldest buffered stamps; absent while a required topic has nothing. */
  infNs?: bigint
  /** The earliest of the newest buffered stamps. */
  supNs?: bigint
  /** How much later the streams have to get until the next group is proven. */
  shortfallNs: number
}

export interface SyncStats {
  /** Messages pushed, refused ones included: `received = grouped + dropped + buffered`. */
  received: number
  grouped: number
  /** By reason. */
  dropped: Record<DropReason, number>
  groups: number
  buffered: number
  /** Clock jumps seen, forward ones included. */
  clockJumps: number
  /** The topic whose clock jumped last. */
  lastJump: string | null
  meanSkewMs: number
  maxSkewMs: number
}

/**
 * Aligns timestamped streams into groups, in one thread and without copying a message.
 *
 * ```ts
 * const camera = new sync.Synchronizer<Frame>(['left', 'right'], { windowMs: 20 })
 * camera.push('left', stampNs, frame)
 * for (const group of camera) use(group.get('left'), group.get('right'))
 * ```
 */
export class Synchronizer<T> implements Iterable<SyncGroup<T>> {
  private readonly matcher: SyncMatcher
  private readonly protocol: SyncProtocol
  private readonly topicNames: readonly string[]
  private readonly indexes: ReadonlyMap<string, number>
  /** Messages held, by slot; free slots are listed apart. */
  private readonly held: (Entry<T> | undefined)[] = []
  private readonly free: number[] = []
  private kept: Dropped<T>[] = []
  /** Filled by the engine: pairs of dropped slots and reasons, then a group's slots. */
  private readonly exchange: Uint32Array
  private timed: boolean
  /** Per topic, so many wait for `drops()` at least: all that a flush or reset can let go at once. */
  private dropsKept = 0
  /** Whether there may be a group to take: spares the call where there is none. */
  private ready = false

  /**
   * Throws `INVALID_OPTION` for an option or topic that cannot work. `onDrop` gets every message that
   * leaves without a group, at once; without it the last ones wait for `drops()`.
   */
  constructor(
    topics: readonly string[],
    options: SyncOptions = {},
    private readonly onDrop?: (dropped: Dropped<T>) => void,
  ) {
    const { SyncMatcher, syncProtocol } = native()
    // A copy: objects that come from native code are slow to read.
    this.protocol = { ...syncProtocol() }
    const json = toJson(topics, options)
    this.exchange = new Uint32Array(2 * this.protocol.droppedMax + topics.length)
    this.matcher = engine(() => SyncMatcher.open(json, this.exchange))
    this.topicNames = [...topics]
    this.indexes = new Map(topics.map((topic, index) => [topic, index]))
    this.timed = (options.maxDelayMs ?? null) !== null
    this.dropsKept = 2 * this.options().bufferSize
  }

  get topics(): readonly string[] {
    return this.topicNames
  }

  /** Brings a message. `timestampNs` may be a number only where that is exact. */
  push(topic: string, timestampNs: bigint | number, message: T): PushOutcome {
    const stamp = typeof timestampNs === 'bigint' ? timestampNs : exact(timestampNs)
    const slot = this.free.pop() ?? this.held.length
    const entry = { topic, timestampNs: stamp, message }
    this.held[slot] = entry
    // A topic that is not declared has no index; the engine counts and refuses it.
    const index = this.indexes.get(topic) ?? this.protocol.noSlot
    let flags: number
    try {
      flags = this.matcher.push(index, stamp, slot)
    } catch (error) {
      this.release(slot)
      if ((error as { code?: unknown }).code !== 'BigintExpected') throw toEngineError(error)
      throw new EngineError(
        'INVALID_TIMESTAMP',
        `the timestamp ${quote(timestampNs)} of topic ${quote(topic)} is no bigint of nanoseconds within ±2^62`,
      )
    }
    const outcome = this.protocol.outcomes[flags & 0xff] as PushOutcome
    const kept = (flags & this.protocol.kept) !== 0
    if (!kept) this.release(slot)
    this.settle(flags)
    // Last: who hears of it may push again.
    if (!kept) this.drop(dropOf(entry, outcome as DropReason, true))
    return outcome
  }

  /** The next group, or null. */
  poll(): SyncGroup<T> | null {
    if (this.timed) this.settle(this.matcher.tick())
    if (!this.ready) return null
    this.ready = this.matcher.take()
    if (!this.ready) return null
    const entries = new Map<string, Entry<T>>()
    for (let place = 2 * this.protocol.droppedMax; place < this.exchange.length; place += 1) {
      const slot = this.exchange[place] as number
      const entry = slot === this.protocol.noSlot ? undefined : this.release(slot)
      if (entry) entries.set(entry.topic, entry)
    }
    return new SyncGroup(entries)
  }

  /** Drains the groups that are ready. */
  *[Symbol.iterator](): Iterator<SyncGroup<T>> {
    for (let group = this.poll(); group; group = this.poll()) yield group
  }

  /** The end of the input: complete groups become ready, all else is dropped. */
  flush(): void {
    this.settle(this.matcher.flush())
  }

  /** Drops everything and forgets the clocks. */
  reset(): void {
    this.settle(this.matcher.reset())
  }

  /** What left without a group since the last call, as far as it was kept; empty with `onDrop`. */
  drops(): Dropped<T>[] {
    const drops = this.kept
    this.kept = []
    return drops
  }

  /** Changes options while messages flow; what is buffered stays. */
  setOptions(changes: LiveOptions): void {
    const { topics, ...current } = JSON.parse(engine(() => this.matcher.options()))
    const flags = engine(() => this.matcher.setOptions(allJson({ ...current, ...changes, topics })))
    this.settle(flags)
    this.dropsKept = Math.max(this.dropsKept, 2 * (changes.bufferSize ?? 0))
    if (changes.maxDelayMs !== undefined) this.timed = changes.maxDelayMs !== null
  }

  /** The options in force. */
  options(): Required<LiveOptions> {
    const { topics: _, ...options } = JSON.parse(engine(() => this.matcher.options()))
    return options
  }

  /** Milliseconds until `poll` may have a group without a push, for `maxDelayMs`; null: not before one. */
  dueInMs(): number | null {
    return this.timed ? this.matcher.dueInMs() : null
  }

  /** Why no group leaves. */
  matchStatus(): MatchStatus {
    const { blocked, topics, ...rest } = this.matcher.status()
    return { ...rest, blocked: blocked as MatchStatus['blocked'], topics: this.named(topics) }
  }

  /** The topics that a stall waits for: once a stall, when `stallMs` have passed. */
  stall(): string[] | null {
    const topics = this.matcher.stall()
    return topics && this.named(topics)
  }

  stats(): SyncStats {
    const { dropped, meanSkew, maxSkew, lastJump, ...counts } = this.matcher.stats()
    const reasons = this.protocol.reasons.map((reason, index) => [reason, dropped[index]])
    const jumped = lastJump === undefined ? null : (this.topicNames[lastJump] ?? null)
    return {
      ...counts,
      lastJump: jumped,
      dropped: Object.fromEntries(reasons),
      meanSkewMs: meanSkew / 1e6,
      maxSkewMs: maxSkew / 1e6,
    }
  }

  private named(indexes: number[]): string[] {
    return indexes.map((index) => this.topicNames[index] as string)
  }

  private release(slot: number): Entry<T> | undefined {
    const entry = this.held[slot]
    this.held[slot] = undefined
    this.free.push(slot)
    return entry
  }

  /** Takes over what a call left behind. */
  private settle(flags: number): void {
    const { ready, more, droppedShift, reasons } = this.protocol
    this.ready = (flags & ready) !== 0
    if (flags >>> droppedShift === 0) return
    const left: Dropped<T>[] = []
    for (let rest = flags; ; rest = this.matcher.more()) {
      const count = rest >>> droppedShift
      for (let place = 0; place < 2 * count; place += 2) {
        const entry = this.release(this.exchange[place] as number)
        const reason = reasons[this.exchange[place + 1] as number] as DropReason
        if (entry) left.push(dropOf(entry, reason, false))
      }
      if (!(rest & more)) break
    }
    // Only now: who hears of it may push again.
    let failure: { error: unknown } | undefined
    for (const dropped of left) {
      try {
        this.drop(dropped)
      } catch (error) {
        failure ??= { error }
      }
    }
    // The others had to hear of theirs, too.
    if (failure) throw failure.error
  }

  private drop(dropped: Dropped<T>): void {
    if (this.onDrop) {
      this.onDrop(dropped)
      return
    }
    this.kept.push(dropped)
    const limit = this.dropsKept * this.topicNames.length
    // In batches: one splice for many drops.
    if (this.kept.length >= 2 * limit) this.kept.splice(0, limit)
  }
}

function dropOf<T>({ topic, timestampNs, message }: Entry<T>, reason: DropReason, refused: boolean): Dropped<T> {
  return { topic, timestampNs, message, reason, refused }
}

function exact(timestampNs: number): bigint {
  if (!Number.isSafeInteger(timestampNs)) {
    throw new EngineError(
      'INVALID_TIMESTAMP',
      `the timestamp ${quote(timestampNs)} is no whole number below 2^53; give nanoseconds as a bigint`,
    )
  }
  return BigInt(timestampNs)
}
