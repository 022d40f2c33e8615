/** How many there were a second since the last look. */
export class Rate {
  private count = 0
  private since = performance.now()

  add(): void {
    this.count += 1
  }

  look(): number {
    const seconds = (performance.now() - this.since) / 1000
    // The first look comes at once.
    if (seconds < 0.5) return 0
    const rate = Math.round(this.count / seconds)
    this.count = 0
    this.since = performance.now()
    return rate
  }
}
