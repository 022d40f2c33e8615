/** The sync engine for a transport whose messages are in JavaScript already. */
import type { SyncMatcher, SyncProtocol } from '#native'
import { engine, native } from '../../shared/native'
import type { Matched, MatcherStats, Sample, SynchronizeOptions } from './transport'

const BUFFER_SIZE = 64

interface Held {
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

  /** Throws `INVALID_OPTION` for options that cannot work. */
  constructor({ sync }: SynchronizeOptions) {
    const { SyncMatcher, syncProtocol } = native()
    // A copy: objects that come from native code are slow to read.
    this.protocol = { ...syncProtocol() }
    this.exchange = new Uint32Array(2 * this.protocol.droppedMax + sync.topics.length)
    this.matcher = engine(() => SyncMatcher.open(JSON.stringify(sync), this.exchange))
    this.maxGroups = sync.bufferSize ?? BUFFER_SIZE
  }

  /** True when groups wait where none did. */
  push(topic: number, stamp: bigint, sample: Sample): boolean {
    const wasEmpty = this.groups.length === 0
    const slot = this.free.pop() ?? this.held.length
    this.held[slot] = { sample, stamp }
    const flags = this.matcher.push(topic, stamp, slot)
    if ((flags & this.protocol.kept) === 0) this.release(slot)
    this.settle(flags)
    return wasEmpty && this.groups.length > 0
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

  /** Frees what was dropped, and moves groups to where they wait to be taken. */
  private settle(flags: number): void {
    const { ready, more, droppedShift } = this.protocol
    for (let rest = flags; rest >>> droppedShift > 0; rest = this.matcher.more()) {
      const count = rest >>> droppedShift
      for (let place = 0; place < 2 * count; place += 2) this.release(this.exchange[place] as number)
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
