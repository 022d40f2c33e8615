/** For nodes that begin by themselves: what they open of their broker, tried again as long as that may help. */

import type { Fields } from '../shared/config'
import { type EngineError, toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import type { BrokerHost } from './host'
import type { App } from './lib'

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 30_000

export class Opener {
  /** Why it is not open now. */
  failure: EngineError | undefined
  closed = false
  private retryMs = RETRY_MIN_MS
  private retry: NodeJS.Timeout | undefined
  private opening: Promise<void>

  /** `changed` is called when it is open, and when that failed. */
  constructor(
    private readonly host: Pick<Host<Fields>, 'node'>,
    private readonly broker: BrokerHost,
    private readonly open: (app: App) => void | Promise<void>,
    private readonly changed: () => void,
  ) {
    broker.join()
    this.opening = this.attempt()
  }

  /** No more attempts. Resolves when that under way has ended; `leave` is for when all is closed. */
  async end(): Promise<void> {
    this.closed = true
    clearTimeout(this.retry)
    await this.opening
  }

  leave(): void {
    this.broker.leave()
  }

  /** Never fails: what goes wrong shows at the node. */
  private async attempt(): Promise<void> {
    try {
      const app = await this.broker.app()
      if (this.closed) return
      await this.open(app)
      this.failure = undefined
      this.retryMs = RETRY_MIN_MS
    } catch (error) {
      this.fail(toEngineError(error))
    }
    this.changed()
  }

  private fail(error: EngineError): void {
    if (this.closed) return
    if (!this.failure) this.host.node.error(error)
    this.failure = error
    if (!error.retryable) return
    this.retry = setTimeout(() => {
      this.opening = this.attempt()
    }, this.retryMs).unref()
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS)
  }
}
