/** What a config node opens for its first user, shares, and closes behind the last. */
import { EngineError, toEngineError } from './errors'
import type { Link } from './running'

/** Without users it stays open so long: a deploy may bring new ones. */
const LINGER_MS = 10_000

export class Lent<T> {
  private users = 0
  private opened: Promise<T> | undefined
  /** Each opening waits for the closing before it. */
  private closings: Promise<void> = Promise.resolve()
  private isOpen = false
  /** Of the latest opening. */
  private failure: EngineError | undefined
  private closed = false
  private linger: NodeJS.Timeout | undefined

  /** `name`: of the node, in the error of who comes after its close. */
  constructor(
    private readonly name: string,
    private readonly open: () => Promise<T>,
    private readonly shut: (opened: T) => Promise<void>,
  ) {}

  join(): void {
    clearTimeout(this.linger)
    this.users += 1
  }

  leave(): void {
    this.users -= 1
    if (this.users === 0 && !this.closed) this.linger = setTimeout(() => this.drop(), LINGER_MS).unref()
  }

  /** It, opened where it is not. A failure is that of this call: the next one tries again. */
  get(): Promise<T> {
    if (this.closed) return Promise.reject(new EngineError('CLOSED', `the ${this.name} node is closed`))
    this.opened ??= this.begin()
    return this.opened
  }

  get link(): Link {
    const { opened, isOpen, failure } = this
    if (opened) return { state: isOpen ? 'open' : 'opening' }
    return failure ? { state: 'failed', error: failure } : { state: 'idle' }
  }

  /** Uses it as one more user. */
  async use<R>(use: (opened: T) => Promise<R>): Promise<R> {
    this.join()
    try {
      return await use(await this.get())
    } finally {
      this.leave()
    }
  }

  /** The next who wants it gets a new one. */
  drop(): void {
    const { opened } = this
    this.opened = undefined
    this.isOpen = false
    if (!opened) return
    // What never opened needs no close.
    this.closings = opened.then(this.shut, () => {})
    // It is told by `close`, where there is one.
    this.closings.catch(() => {})
  }

  /** For good. Ends when all is safe. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.linger)
    this.drop()
    await this.closings
  }

  private async begin(): Promise<T> {
    try {
      await this.closings
      const opened = await this.open()
      this.isOpen = true
      this.failure = undefined
      return opened
    } catch (error) {
      this.opened = undefined
      this.failure = toEngineError(error)
      throw this.failure
    }
  }
}
