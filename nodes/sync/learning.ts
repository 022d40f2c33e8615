/** Stands in for a synchroniser until enough topics have shown themselves. */

import { type Dropped, type SyncGroup, Synchronizer } from './lib'
import type { LiveOptions, SyncOptions } from './lib/options'

interface Early<T> {
  topic: string
  stamp: bigint
  message: T
}

export class Learning<T> implements Iterable<SyncGroup<T>> {
  private readonly topics = new Set<string>()
  private early: Early<T>[] = []
  private options: SyncOptions

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

  stall(): null {
    return null
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
