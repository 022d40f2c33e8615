/** The newest so many of something, and what can be said of numbers. */

/** A ring that grows up to its capacity, then lets the oldest go. */
export class Ring<T> {
  private readonly items: T[] = []
  private next = 0

  constructor(private readonly capacity: number) {}

  push(item: T): void {
    if (this.capacity === 0) return
    this.items[this.next] = item
    this.next = (this.next + 1) % this.capacity
  }

  get size(): number {
    return this.items.length
  }

  /** Newest first. */
  newest(limit = this.items.length): T[] {
    const count = Math.min(limit, this.items.length)
    return Array.from({ length: count }, (_, back) => this.items.at(this.next - 1 - back) as T)
  }
}

export interface Stats {
  count: number
  min: number
  max: number
  mean: number
  p50: number
  p90: number
  p95: number
  p99: number
}

/** Null of no numbers. Percentiles are by nearest rank: values that were there. */
export function statsOf(values: Iterable<number>): Stats | null {
  const sorted = Float64Array.from(values).sort()
  const count = sorted.length
  if (count === 0) return null
  const rank = (part: number) => sorted[Math.max(0, Math.ceil(part * count) - 1)] as number
  return {
    count,
    min: sorted[0] as number,
    max: sorted[count - 1] as number,
    mean: sorted.reduce((sum, value) => sum + value / count, 0),
    p50: rank(0.5),
    p90: rank(0.9),
    p95: rank(0.95),
    p99: rank(0.99),
  }
}
