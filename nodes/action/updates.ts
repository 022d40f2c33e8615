/** Lets one message of each source through in an interval: the first at once, then the latest. */

interface Cooling<T> {
  /** When the source may speak again. */
  until: number
  latest: T | undefined
}

export class Updates<T> {
  /** All rest equally long: the first is the first to be done. */
  private readonly cooling = new Map<string, Cooling<T>>()
  private timer: NodeJS.Timeout | undefined

  /** `capacity`: of so many sources is a message held; then the one that waited longest speaks early. */
  constructor(
    private readonly intervalMs: number,
    private readonly capacity: number,
    private readonly emit: (update: T) => void,
  ) {}

  /** Whether the update may leave now; if not, it does so later, unless a newer one of its source comes. */
  pass(source: string, update: T): boolean {
    if (this.intervalMs === 0) return true
    const resting = this.cooling.get(source)
    if (resting) {
      resting.latest = update
      return false
    }
    if (this.cooling.size >= this.capacity) this.makeRoom()
    this.rest(source)
    return true
  }

  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.cooling.clear()
  }

  private rest(source: string): void {
    this.cooling.set(source, { until: performance.now() + this.intervalMs, latest: undefined })
    this.schedule()
  }

  private makeRoom(): void {
    const [[source, { latest }]] = this.cooling as unknown as [[string, Cooling<T>]]
    this.cooling.delete(source)
    if (latest !== undefined) this.emit(latest)
  }

  private release(source: string): void {
    const latest = this.cooling.get(source)?.latest
    this.cooling.delete(source)
    if (latest === undefined) return
    this.rest(source)
    this.emit(latest)
  }

  private schedule(): void {
    const [first] = this.cooling.values()
    if (this.timer || !first) return
    this.timer = setTimeout(
      () => {
        this.timer = undefined
        this.releaseDue()
      },
      Math.max(1, first.until - performance.now()),
    ).unref()
  }

  private releaseDue(): void {
    const now = performance.now()
    try {
      for (const [source, { until }] of this.cooling) {
        if (until > now) break
        this.release(source)
      }
    } finally {
      this.schedule()
    }
  }
}
