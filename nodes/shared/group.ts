/** A message as a synchroniser holds it. */
export interface Entry<T> {
  readonly topic: string
  readonly timestampNs: bigint
  readonly message: T
}

/** Messages that belong together: one of each required topic, and those optional ones that fit. */
export class SyncGroup<T> {
  /** @internal */
  constructor(private readonly entries: ReadonlyMap<string, Entry<T>>) {}

  /** The smallest stamp. */
  get timestampNs(): bigint {
    return this.fold((a, b) => (a < b ? a : b))
  }

  /** The distance from the smallest stamp to the largest. */
  get skewNs(): bigint {
    return this.fold((a, b) => (a > b ? a : b)) - this.timestampNs
  }

  /** The topics that have a message, in the order in which they were declared. */
  topics(): string[] {
    return [...this.entries.keys()]
  }

  get(topic: string): T | undefined {
    return this.entries.get(topic)?.message
  }

  has(topic: string): boolean {
    return this.entries.has(topic)
  }

  /** The stamp of a topic's message. */
  stampNs(topic: string): bigint | undefined {
    return this.entries.get(topic)?.timestampNs
  }

  /** `{topic: message}`. A topic may have any name, `__proto__` included. */
  toObject(): Record<string, T> {
    return Object.fromEntries([...this.entries].map(([topic, entry]) => [topic, entry.message]))
  }

  private fold(pick: (a: bigint, b: bigint) => bigint): bigint {
    return [...this.entries.values()].map((entry) => entry.timestampNs).reduce(pick)
  }
}
