/** What all nodes within a context share: what they have open there comes and goes with it, and how that shows. */
import type { NodeStatus } from 'node-red'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { type Host, stateOf } from '../shared/node'
import { ContextHost, type User } from './host'
import type { Context, Graph } from './lib'

const STATUS_MS = 1000
/** So many messages wait for the context to open. */
const WAITING_MAX = 1000

export type PlaceHost = Pick<Host<Fields>, 'RED' | 'node' | 'text' | 'status'>

/** What is special to one kind of node. */
export interface Tenant<End> {
  open(context: Context): End
  live(end: End): NodeStatus
  /** The end is there, or is not. */
  settled?(end: End | EngineError): void
  changed?(graph: Graph): void
}

interface Closing {
  close(): Promise<void>
}

interface Waiting<End> {
  resolve(end: End): void
  reject(error: EngineError): void
}

export class Place<End extends Closing> implements User {
  readonly contexts: ContextHost
  private readonly timer: NodeJS.Timeout
  private readonly waitingMax: number
  private end: End | undefined
  private failure: EngineError | undefined
  private waiting: Waiting<End>[] = []
  private closings: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly host: PlaceHost,
    context: string,
    private readonly tenant: Tenant<End>,
  ) {
    const contexts = stateOf<unknown>(host.RED, context)
    if (!(contexts instanceof ContextHost)) {
      throw new EngineError('INVALID_OPTION', host.text('failure.context'))
    }
    this.contexts = contexts
    const limit = host.RED.settings.nodeMessageBufferMaxLength
    this.waitingMax = typeof limit === 'number' && limit > 0 ? Math.min(limit, WAITING_MAX) : WAITING_MAX
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.show()
  }

  /** Apart from the constructor, as the tenant hears at once of a context that is open already. */
  join(): void {
    this.contexts.join(this)
  }

  /** The end, as soon as the context is open. */
  ready(): Promise<End> {
    return new Promise((resolve, reject) => {
      if (this.end) return resolve(this.end)
      if (this.failure) return reject(this.failure)
      if (this.waiting.length >= this.waitingMax) {
        return reject(new EngineError('BUFFER_FULL', this.host.text('failure.waiting')))
      }
      this.waiting.push({ resolve, reject })
    })
  }

  opened(context: Context): void {
    let end: End
    try {
      end = this.tenant.open(context)
    } catch (error) {
      const failure = toEngineError(error)
      // Then the context is no good any more.
      if (failure.code === 'TRANSPORT') throw failure
      this.host.node.error(failure.message)
      return this.failed(failure)
    }
    this.end = end
    this.failure = undefined
    this.tenant.settled?.(end)
    for (const { resolve } of this.waiting.splice(0)) resolve(end)
    this.show()
  }

  /** The context reports its own failures. */
  failed(error: EngineError): void {
    this.failure = error
    this.dropEnd()
    this.tenant.settled?.(error)
    for (const { reject } of this.waiting.splice(0)) reject(error)
    this.show()
  }

  changed(graph: Graph): void {
    if (!this.end) return
    this.tenant.changed?.(graph)
    this.show()
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    this.contexts.leave(this)
    this.dropEnd()
    this.failure = new EngineError('CLOSED', this.host.text('failure.closed'))
    for (const { reject } of this.waiting.splice(0)) reject(this.failure)
    await this.closings
  }

  show(): void {
    this.host.status(() => this.status())
  }

  private dropEnd(): void {
    const end = this.end
    this.end = undefined
    if (!end) return
    const closing = end.close().catch((error) => this.host.node.warn(toEngineError(error).message))
    this.closings = Promise.all([this.closings, closing])
  }

  private status(): NodeStatus {
    const { failure, end } = this
    if (failure) {
      const fill = failure.retryable ? 'yellow' : 'red'
      return { fill, shape: 'ring', text: this.host.text(`error.${failure.code}`) }
    }
    return end ? this.tenant.live(end) : { fill: 'grey', shape: 'ring', text: this.host.text('status.opening') }
  }
}
