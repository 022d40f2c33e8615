/** A node of a context: what it opens there comes and goes with the context, and its status tells which. */
import type { NodeStatus } from 'node-red'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import type { Host, Reply } from '../shared/node'
import { type ContextHost, contextHostOf, type User } from './host'
import type { Context, Graph } from './lib'
import { Waiting } from './waiting'

const STATUS_MS = 1000

export type MemberHost = Pick<Host<Fields>, 'RED' | 'node' | 'text' | 'status'>

/** What is special to a kind of node. */
export interface MemberRole<End> {
  open(context: Context): End
  /** What was opened is gone, or something in the domain came, went or changed. */
  changed?(graph: Graph | null, end: End | undefined): void
  live(end: End): NodeStatus
}

export class Member<End extends { close(): Promise<void> }> implements User {
  private end: End | undefined
  private readonly contexts: ContextHost
  private timer: NodeJS.Timeout | undefined
  private closings: Promise<unknown> = Promise.resolve()
  private failure: EngineError | undefined
  private readonly waiting: Waiting<End>

  constructor(
    private readonly host: MemberHost,
    context: string,
    private readonly role: MemberRole<End>,
  ) {
    this.contexts = contextHostOf(host, context)
    this.waiting = new Waiting(host.RED, () => host.text('failure.waiting'))
  }

  /** Apart from the constructor, as the role hears at once of a context that is open already. */
  join(): void {
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.show()
    this.contexts.join(this)
  }

  /** The absolute name of a topic, a service or a node. */
  nameOf(topic: string): string {
    return this.contexts.nameOf(topic)
  }

  /** Acts on what was opened, now or when it is there. */
  deal(reply: Reply, act: (end: End) => void): void {
    this.waiting.deal(reply, act)
  }

  /** What was opened, as soon as it is there. */
  ready(): Promise<End> {
    return this.waiting.ready()
  }

  opened(context: Context): void {
    try {
      this.end = this.role.open(context)
    } catch (error) {
      const failure = toEngineError(error)
      // Then the context is no good any more.
      if (failure.code === 'TRANSPORT') throw failure
      this.host.node.error(failure)
      return this.failed(failure)
    }
    this.failure = undefined
    this.waiting.settle(this.end)
    this.show()
  }

  /** The context reports its own failures. */
  failed(error: EngineError): void {
    this.failure = error
    this.dropEnd()
    this.waiting.settle(error)
    this.show()
  }

  changed(graph: Graph): void {
    this.role.changed?.(graph, this.end)
    this.show()
  }

  show(): void {
    this.host.status(() => this.status())
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    this.contexts.leave(this)
    this.waiting.settle(new EngineError('CLOSED', this.host.text('failure.closed')))
    this.dropEnd()
    await this.closings
  }

  private dropEnd(): void {
    const end = this.end
    this.end = undefined
    this.role.changed?.(null, undefined)
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
    if (!end) return { fill: 'grey', shape: 'ring', text: this.host.text('status.opening') }
    return this.role.live(end)
  }
}
