/** Stands in for a synchroniser until enough topics have shown themselves. */

import { type Dropped, type SyncGroup, Synchronizer } from './lib'
import type { LiveOptions, SyncOptions } from './lib/options'

interface Early<T> {
  topic: string
  stamp: bigint
  message: T
}

/** As the engine has it. */
const DEFAULT_STALL_MS = 10_000

export class Learning<T> implements Iterable<SyncGroup<T>> {
  private readonly topics = new Set<string>()
  private early: Early<T>[] = []
  private options: SyncOptions
  /** Arrival of the first and of the newest message, ms. */
  private since = 0
  private newest = 0
  private stallReported = false

  constructor(
    private readonly wanted: number,
    options: SyncOptions,
    private readonly onDrop: (dropped: Dropped<T>) => void,
  ) {
    // Proves the options now, not with the last topic.
    new Synchronizer(['proof'], options)
    this.options = options
  }

  push(topic: string, stamp: bigint, message: T): void {
    this.newest = performance.now()
    if (this.topics.size === 0) this.since = this.newest
    this.topics.add(topic)
    this.early.push({ topic, stamp, message })
    if (this.early.length > this.wanted * (this.options.bufferSize ?? 64)) this.letGo(this.early.splice(0, 1), 'full')
  }

  /** The synchroniser, with all messages so far, once the topics are known. */
  learned(): Synchronizer<T> | undefined {
    if (this.topics.size < this.wanted) return undefined
    const sync = new Synchronizer<T>([...this.topics], this.options, this.onDrop)
    for (const { topic, stamp, message } of this.early.splice(0)) sync.push(topic, stamp, message)
    return sync
  }

  reset(): void {
    this.stallReported = false
    this.topics.clear()
    this.letGo(this.early.splice(0), 'reset')
  }

  flush(): void {
    this.letGo(this.early.splice(0), 'flush')
  }

  setOptions(changes: LiveOptions): void {
    const options = { ...this.options, ...changes }
    new Synchronizer(['proof'], options)
    this.options = options
  }

  /** The topics seen so far: once, when messages have come for the stall time and others are still missing. */
  stall(): string[] | null {
    const limit = this.options.stallMs === undefined ? DEFAULT_STALL_MS : this.options.stallMs
    if (limit === null || this.stallReported || this.newest - this.since < limit) return null
    this.stallReported = true
    return [...this.topics]
  }

  dueInMs(): null {
    return null
  }

  *[Symbol.iterator](): Iterator<SyncGroup<T>> {}

  private letGo(early: Early<T>[], reason: Dropped<T>['reason']): void {
    for (const { topic, stamp, message } of early) {
      this.onDrop({ topic, timestampNs: stamp, message, reason, refused: false })
    }
  }
}
