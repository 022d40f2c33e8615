/** The library's app behind a config node: opened for its first user, shared, closed behind the last. */
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { type Host, stateOf } from '../shared/node'
import { type App, type ConnectOptions, connect, type QueueInfo, type WorkerInfo } from './lib'

/** What is in the queue, for the dialogs. */
export interface View {
  queues: QueueInfo[]
  workers: WorkerInfo[]
}

/** A broker without users stays so long: a deploy may bring new ones. */
const LINGER_MS = 10_000
/** So long a close waits for what runs; Node-RED waits for eight seconds. */
export const DRAIN_MS = 3000

export class BrokerHost {
  private users = 0
  private opened: Promise<App> | undefined
  /** Each opening waits for the closing before it. */
  private closings: Promise<void> = Promise.resolve()
  private closed = false
  private linger: NodeJS.Timeout | undefined

  constructor(private readonly connection: ConnectOptions) {}

  join(): void {
    clearTimeout(this.linger)
    this.users += 1
  }

  leave(): void {
    this.users -= 1
    if (this.users === 0 && !this.closed) this.linger = setTimeout(() => this.drop(), LINGER_MS).unref()
  }

  /** The app, opened where it is not. A failure is that of this call: the next one tries again. */
  app(): Promise<App> {
    if (this.closed) return Promise.reject(new EngineError('CLOSED', 'the broker node is closed'))
    this.opened ??= this.open()
    return this.opened
  }

  /** What is there, for the dialogs. */
  async look(): Promise<View> {
    this.join()
    try {
      const { control } = await this.app()
      return { queues: await control.queues(), workers: await control.workers() }
    } finally {
      this.leave()
    }
  }

  /** Ends when what runs has ended or is given back, and all is safe. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.linger)
    this.drop()
    await this.closings
  }

  private async open(): Promise<App> {
    try {
      await this.closings
      return await connect(this.connection)
    } catch (error) {
      this.opened = undefined
      throw toEngineError(error)
    }
  }

  private drop(): void {
    const { opened } = this
    this.opened = undefined
    if (!opened) return
    this.closings = opened.then(
      (app) => app.close({ drainMs: DRAIN_MS }),
      // What never opened needs no close.
      () => {},
    )
    // It is told by `close`, where there is one.
    this.closings.catch(() => {})
  }
}

/** The host behind a broker node. */
export function brokerOf(host: Pick<Host<Fields>, 'RED' | 'text'>, id: string): BrokerHost {
  const broker = stateOf<unknown>(host.RED, id)
  if (!(broker instanceof BrokerHost)) throw new EngineError('INVALID_OPTION', host.text('failure.broker'))
  return broker
}
