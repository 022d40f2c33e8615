import type { Broker, TaskEvent } from './broker'

const MAX = 10_000

/** Events as they come, for `for await`. Where the reader is too slow, the oldest give way and are counted. */
export class Events implements AsyncIterableIterator<TaskEvent> {
  /** How many gave way. */
  dropped = 0
  private waiting: TaskEvent[] = []
  private readers: ((result: IteratorResult<TaskEvent>) => void)[] = []
  private ended = false
  private readonly stop: () => void

  /** @internal */
  constructor(
    broker: Broker,
    private readonly max = MAX,
    private readonly onEnd: (events: Events) => void = () => {},
  ) {
    this.stop = broker.events((event) => this.hear(event))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<TaskEvent>> {
    const value = this.waiting.shift()
    if (value) return { done: false, value }
    if (this.ended) return { done: true, value: undefined }
    return new Promise((resolve) => this.readers.push(resolve))
  }

  async return(): Promise<IteratorResult<TaskEvent>> {
    this.end()
    return { done: true, value: undefined }
  }

  /** @internal */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.stop()
    this.onEnd(this)
    for (const reader of this.readers.splice(0)) reader({ done: true, value: undefined })
  }

  private hear(event: TaskEvent): void {
    const reader = this.readers.shift()
    if (reader) return reader({ done: false, value: event })
    this.waiting.push(event)
    if (this.waiting.length <= this.max) return
    // A part at once: to take the first of a long list is slow.
    const gone = this.waiting.length - Math.ceil(this.max * 0.9)
    this.waiting.splice(0, gone)
    this.dropped += gone
  }
}
