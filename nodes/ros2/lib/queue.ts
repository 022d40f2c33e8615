const MAX_SAMPLES = 1000
const MAX_BYTES = 64 << 20

/** What lies between a transport and its listener: bounded by count and by bytes, the oldest gives way. */
export class SampleQueue<T extends { cdr: Buffer }> {
  private samples: T[] = []
  private bytes = 0
  private received = 0
  private dropped = 0

  /** At least one sample is always kept, however large. */
  constructor(
    private readonly maxSamples = MAX_SAMPLES,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  /** True when the queue was empty: whoever takes from it has to be told. */
  push(sample: T): boolean {
    const wasEmpty = this.samples.length === 0
    this.received += 1
    this.bytes += sample.cdr.length
    this.samples.push(sample)
    while (this.samples.length > 1 && (this.samples.length > this.maxSamples || this.bytes > this.maxBytes)) {
      this.bytes -= this.samples.shift()?.cdr.length ?? 0
      this.dropped += 1
    }
    return wasEmpty
  }

  take(limit: number): { samples: T[]; more: boolean } {
    const samples = this.samples.splice(0, limit)
    for (const { cdr } of samples) this.bytes -= cdr.length
    return { samples, more: this.samples.length > 0 }
  }

  counts(): { received: number; dropped: number } {
    return { received: this.received, dropped: this.dropped }
  }

  clear(): void {
    this.samples = []
    this.bytes = 0
  }
}
