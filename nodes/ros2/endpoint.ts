/** What the two nodes of a topic share: their place in a context, the others at it, and how it shows. */
import type { NodeStatus } from 'node-red'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { type Host, stateOf } from '../shared/node'
import { absolute, longType } from './fields'
import { ContextHost, type User } from './host'
import type { Context, Graph, GraphEndpoint, Qos, Refused } from './lib'
import { firstMismatch, type Mismatch } from './match'

const STATUS_MS = 1000

/** What both nodes are told. */
export interface EndpointConfig {
  context: string
  topic: string
  messageType: string
}

/** What is special to hearing, or to speaking. */
export interface Role<End> {
  open(context: Context): End
  /** Those at the other end of topics. */
  others(graph: Graph): GraphEndpoint[]
  /** Why this end and another one do not get on. */
  refuses(other: Required<Qos>): Mismatch | null
  live(end: End): NodeStatus
  /** The end is there, or is not. */
  settled?(end: End | EngineError): void
}

interface Ending {
  refused(): Refused
  close(): Promise<void>
}

/** One end of a topic: a subscription or a publisher, which comes and goes with the context. */
export class Endpoint<End extends Ending> implements User {
  /** Absolute. */
  readonly topic: string
  /** In its long form. */
  readonly type: string
  /** So many are at the other end; none known before the first look. */
  others = 0
  private end: End | undefined
  private readonly contexts: ContextHost
  private readonly timer: NodeJS.Timeout
  private closings: Promise<unknown> = Promise.resolve()
  private mismatch: Mismatch | null = null
  /** So many refusals are known, and this is what the graph told of one. */
  private refusals = 0
  private told: Mismatch | null = null
  private failure: EngineError | undefined

  constructor(
    private readonly host: Pick<Host<Fields>, 'RED' | 'node' | 'text' | 'status'>,
    config: EndpointConfig,
    private readonly role: Role<End>,
  ) {
    const contexts = stateOf<unknown>(host.RED, config.context)
    if (!(contexts instanceof ContextHost)) {
      throw new EngineError('INVALID_OPTION', host.text('failure.context'))
    }
    this.contexts = contexts
    this.topic = contexts.nameOf(config.topic)
    this.type = longType(config.messageType)
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.show()
  }

  /** Apart from the constructor, as the role hears at once of a context that is open already. */
  join(): void {
    this.contexts.join(this)
  }

  opened(context: Context): void {
    try {
      this.end = this.role.open(context)
    } catch (error) {
      const failure = toEngineError(error)
      // Then the context is no good any more.
      if (failure.code === 'TRANSPORT') throw failure
      this.host.node.error(failure.message)
      return this.failed(failure)
    }
    this.failure = undefined
    this.role.settled?.(this.end)
    this.show()
  }

  /** The context reports its own failures. */
  failed(error: EngineError): void {
    this.failure = error
    this.dropEnd()
    this.role.settled?.(error)
    this.show()
  }

  changed(graph: Graph): void {
    const others = this.role.others(graph).filter(({ topic, service }) => topic === this.topic && !service)
    this.others = others.length
    const found = firstMismatch(others, this.type, (qos) => this.role.refuses(qos))
    if (found && found.reason !== this.mismatch) this.host.node.warn(this.warning(found.other, found.reason))
    this.mismatch = found?.reason ?? null
    this.told = found?.reason ?? this.told
    if (this.end) this.heed(this.end.refused())
    this.show()
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    this.contexts.leave(this)
    this.dropEnd()
    await this.closings
  }

  /** The DDS knows of policies that the graph says nothing of. */
  private heed({ count, policy }: Refused): void {
    if (count > this.refusals && policy && policy !== this.told) {
      this.host.node.warn(this.host.text('mismatch.policy', { topic: this.topic, policy }))
    }
    this.refusals = count
  }

  private warning(other: GraphEndpoint, reason: Mismatch): string {
    const name = other.node ? absolute(other.node.name, other.node.namespace) : other.gid
    const params = { topic: this.topic, node: name, type: other.type }
    return this.host.text(`mismatch.${reason}`, params)
  }

  private dropEnd(): void {
    const end = this.end
    this.end = undefined
    this.others = 0
    this.refusals = 0
    this.told = null
    if (!end) return
    const closing = end.close().catch((error) => this.host.node.warn(toEngineError(error).message))
    this.closings = Promise.all([this.closings, closing])
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { failure, mismatch, end } = this
    if (failure) {
      const fill = failure.retryable ? 'yellow' : 'red'
      return { fill, shape: 'ring', text: this.host.text(`error.${failure.code}`) }
    }
    if (!end) return { fill: 'grey', shape: 'ring', text: this.host.text('status.opening') }
    if (mismatch) return { fill: 'yellow', shape: 'ring', text: this.host.text(`status.mismatch.${mismatch}`) }
    return this.role.live(end)
  }
}
