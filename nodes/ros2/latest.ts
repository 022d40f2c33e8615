/** Lets so many values pass at most; of those between, the latest. */
export class Latest<T> {
  private waiting: { value: T } | undefined
  private timer: NodeJS.Timeout | undefined

  constructor(
    private readonly intervalMs: number,
    private readonly pass: (value: T) => void,
  ) {}

  push(value: T): void {
    if (this.timer) {
      this.waiting = { value }
      return
    }
    this.timer = setTimeout(() => this.next(), this.intervalMs).unref()
    this.pass(value)
  }

  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.waiting = undefined
  }

  private next(): void {
    const { waiting } = this
    this.timer = undefined
    this.waiting = undefined
    if (waiting) this.push(waiting.value)
  }
}
