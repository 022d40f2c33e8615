/** What the two nodes of a topic share: their place in a context, the others at it, and how it shows. */
import type { NodeStatus } from 'node-red'
import type { EngineError } from '../shared/errors'
import { absolute, longType } from './fields'
import type { Context, Graph, GraphEndpoint, Qos } from './lib'
import { firstMismatch, type Mismatch } from './match'
import { Place, type PlaceHost } from './place'

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

interface Closing {
  close(): Promise<void>
}

/** One end of a topic: a subscription or a publisher, which comes and goes with the context. */
export class Endpoint<End extends Closing> {
  /** Absolute. */
  readonly topic: string
  /** In its long form. */
  readonly type: string
  /** So many are at the other end; none known before the first look. */
  others = 0
  private readonly place: Place<End>
  private mismatch: Mismatch | null = null

  constructor(
    private readonly host: PlaceHost,
    config: EndpointConfig,
    private readonly role: Role<End>,
  ) {
    this.place = new Place(host, config.context, {
      open: (context) => role.open(context),
      live: (end) => this.live(end),
      settled: (end) => {
        this.others = 0
        role.settled?.(end)
      },
      changed: (graph) => this.changed(graph),
    })
    this.topic = this.place.contexts.nameOf(config.topic)
    this.type = longType(config.messageType)
  }

  /** Apart from the constructor, as the role hears at once of a context that is open already. */
  join(): void {
    this.place.join()
  }

  close(): Promise<void> {
    return this.place.close()
  }

  private changed(graph: Graph): void {
    const others = this.role.others(graph).filter(({ topic, service }) => topic === this.topic && !service)
    this.others = others.length
    const found = firstMismatch(others, this.type, (qos) => this.role.refuses(qos))
    if (found && found.reason !== this.mismatch) this.host.node.warn(this.warning(found.other, found.reason))
    this.mismatch = found?.reason ?? null
  }

  private warning(other: GraphEndpoint, reason: Mismatch): string {
    const name = other.node ? absolute(other.node.name, other.node.namespace) : (other.gid ?? '')
    const params = { topic: this.topic, node: name, type: other.type }
    return this.host.text(`mismatch.${reason}`, params)
  }

  private live(end: End): NodeStatus {
    if (!this.mismatch) return this.role.live(end)
    return { fill: 'yellow', shape: 'ring', text: this.host.text(`status.mismatch.${this.mismatch}`) }
  }
}
