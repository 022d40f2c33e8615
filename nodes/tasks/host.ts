/** The library's app behind a config node: opened for its first user, shared, closed behind the last. */
import type { Fields } from '../shared/config'
import { EngineError } from '../shared/errors'
import { Lent } from '../shared/lent'
import { type Host, stateOf } from '../shared/node'
import type { Link } from '../shared/running'
import { type App, type ConnectOptions, connect, type QueueInfo, type WorkerInfo } from './lib'

/** What is in the queue, for the dialogs. */
export interface View {
  queues: QueueInfo[]
  workers: WorkerInfo[]
}

/** So long a close waits for what runs; Node-RED waits for eight seconds. */
export const DRAIN_MS = 3000

export class BrokerHost {
  private readonly lent: Lent<App>

  constructor(connection: ConnectOptions) {
    const close = (app: App) => app.close({ drainMs: DRAIN_MS })
    this.lent = new Lent('broker', () => connect(connection), close)
  }

  join(): void {
    this.lent.join()
  }

  leave(): void {
    this.lent.leave()
  }

  /** The app, opened where it is not. A failure is that of this call: the next one tries again. */
  app(): Promise<App> {
    return this.lent.get()
  }

  get link(): Link {
    return this.lent.link
  }

  /** What is there, for the dialogs. */
  look(): Promise<View> {
    return this.lent.use(async ({ control }) => ({ queues: await control.queues(), workers: await control.workers() }))
  }

  /** Ends when what runs has ended or is given back, and all is safe. */
  close(): Promise<void> {
    return this.lent.close()
  }
}

/** The host behind a broker node. */
export function brokerOf(host: Pick<Host<Fields>, 'RED' | 'text'>, id: string): BrokerHost {
  const broker = stateOf<unknown>(host.RED, id)
  if (!(broker instanceof BrokerHost)) throw new EngineError('INVALID_OPTION', host.text('failure.broker'))
  return broker
}
