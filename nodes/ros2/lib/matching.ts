/** The sync engine for a transport whose messages are in JavaScript already. */
import type { SyncMatcher, SyncProtocol } from '#native'
import { engine, native } from '../../shared/native'
import { allJson } from '../../shared/options'
import type { Matched, MatcherStats, Sample, SynchronizeOptions } from './transport'

const BUFFER_SIZE = 64

interface Held {
  topic: number
  sample: Sample
  stamp: bigint
}

/** What `SynchronizeOptions` asks for, without the subscriptions. */
export class Matching {
  private readonly matcher: SyncMatcher
  private readonly protocol: SyncProtocol
  /** Filled by the engine: pairs of dropped slots and reasons, then a group's slots. */
  private readonly exchange: Uint32Array
  private readonly held: (Held | undefined)[] = []
  private readonly free: number[] = []
  private readonly groups: Matched[] = []
  private readonly maxGroups: number
  private lostGroups = 0
  /** By topic: by reason, and last what had no stamp. */
  private readonly counts: number[][]

  /** Throws `INVALID_OPTION` for options that cannot work. */
  constructor({ sync }: SynchronizeOptions) {
    const { SyncMatcher, syncProtocol } = native()
    // A copy: objects that come from native code are slow to read.
    this.protocol = { ...syncProtocol() }
    this.exchange = new Uint32Array(2 * this.protocol.droppedMax + sync.topics.length)
    this.matcher = engine(() => SyncMatcher.open(allJson(sync), this.exchange))
    this.maxGroups = sync.bufferSize ?? BUFFER_SIZE
    this.counts = sync.topics.map(() => new Array(this.protocol.reasons.length + 1).fill(0))
  }

  /** True when groups wait where none did. */
  push(topic: number, stamp: bigint, sample: Sample): boolean {
    const wasEmpty = this.groups.length === 0
    const slot = this.free.pop() ?? this.held.length
    this.held[slot] = { topic, sample, stamp }
    const flags = this.matcher.push(topic, stamp, slot)
    if ((flags & this.protocol.kept) === 0) {
      this.release(slot)
      this.count(topic, this.protocol.reasons.indexOf(this.protocol.outcomes[flags & 0xff] ?? ''))
    }
    this.settle(flags)
    return wasEmpty && this.groups.length > 0
  }

  unstamped(topic: number): void {
    this.count(topic, this.protocol.reasons.length)
  }

  take(limit: number): { groups: Matched[]; more: boolean } {
    this.settle(this.matcher.tick())
    const groups = this.groups.splice(0, limit)
    return { groups, more: this.groups.length > 0 }
  }

  dueInMs(): number | null {
    return this.matcher.dueInMs()
  }

  stats(): MatcherStats {
    return this.matcher.stats()
  }

  lost(): number {
    return this.lostGroups
  }

  left(): number[][] {
    return this.counts
  }

  stall(): number[] | null {
    return this.matcher.stall()
  }

  private count(topic: number, reason: number): void {
    const counts = this.counts[topic]
    if (counts?.[reason] !== undefined) counts[reason] += 1
  }

  /** Frees what was dropped, and moves groups to where they wait to be taken. */
  private settle(flags: number): void {
    const { ready, more, droppedShift } = this.protocol
    for (let rest = flags; rest >>> droppedShift > 0; rest = this.matcher.more()) {
      const count = rest >>> droppedShift
      for (let place = 0; place < 2 * count; place += 2) {
        const held = this.release(this.exchange[place] as number)
        if (held) this.count(held.topic, this.exchange[place + 1] as number)
      }
      if ((rest & more) === 0) break
    }
    if ((flags & ready) === 0) return
    while (this.matcher.take()) this.groups.push(this.group())
    const lost = Math.max(0, this.groups.length - this.maxGroups)
    this.groups.splice(0, lost)
    this.lostGroups += lost
  }

  private group(): Matched {
    const slots = this.exchange.subarray(2 * this.protocol.droppedMax)
    const held = [...slots].map((slot) => (slot === this.protocol.noSlot ? undefined : this.release(slot)))
    return { samples: held.map((one) => one?.sample), stamps: held.map((one) => one?.stamp) }
  }

  private release(slot: number): Held | undefined {
    const held = this.held[slot]
    this.held[slot] = undefined
    this.free.push(slot)
    return held
  }
}
