/** What a `millrace-ros2-in` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { Endpoint, type Role } from './endpoint'
import { HEADER, headerPlace } from './header'
import type { InConfig, inConfig } from './in.config'
import { Latest } from './latest'
import { Codec, type Context, type Graph, type GraphEndpoint, type Qos, type Received, type Subscription } from './lib'
import { type Mismatch, refusal } from './match'
import { messageOf, type Shape } from './payload'
import { qosOf } from './qos.config'

type InHost = Host<(typeof inConfig)['fields']>

export class Listener implements Role<Subscription> {
  private readonly endpoint: Endpoint<Subscription>
  private readonly config: InConfig
  private readonly qos: Required<Qos>
  private readonly latest: Latest<Received> | undefined
  private shape: Shape | undefined
  /** Since the last look at the clock. */
  private heard = 0
  private since = performance.now()

  constructor(private readonly host: InHost) {
    this.config = host.config
    this.qos = qosOf(host.config)
    const { maxPerSecond } = host.config
    if (maxPerSecond !== null) this.latest = new Latest(1000 / maxPerSecond, (received) => this.send(received))
    this.endpoint = new Endpoint(host, host.config, this)
    this.endpoint.join()
  }

  close(): Promise<void> {
    this.latest?.close()
    return this.endpoint.close()
  }

  open(context: Context): Subscription {
    const { int64, arrays, output } = this.config
    const { topic, type } = this.endpoint
    const definitions = context.definitions.resolve(type)
    const header = headerPlace(definitions)
    if (output === 'header' && header === 'none') {
      throw new EngineError('INVALID_OPTION', this.host.text('failure.header', { type }))
    }
    this.shape = { output, header, headers: new Codec(HEADER, context.definitions.resolve(HEADER)) }
    return context.subscribe(topic, type, (received) => this.hear(received), {
      qos: this.qos,
      int64,
      arrays,
    })
  }

  others(graph: Graph): GraphEndpoint[] {
    return graph.publishers
  }

  refuses(offered: Required<Qos>): Mismatch | null {
    return refusal(this.qos, offered)
  }

  live(subscription: Subscription): NodeStatus {
    const seconds = (performance.now() - this.since) / 1000
    // The first look comes at once.
    const rate = seconds < 0.5 ? 0 : Math.round(this.heard / seconds)
    if (seconds >= 0.5) {
      this.heard = 0
      this.since = performance.now()
    }
    if (rate === 0 && this.endpoint.others === 0) {
      return { fill: 'grey', shape: 'ring', text: this.host.text('status.nobody') }
    }
    const { dropped } = subscription.counts()
    const type = this.endpoint.type.split('/').at(-1) ?? ''
    const params = { rate: short(rate), type, dropped: short(dropped) }
    const text = this.host.text(dropped > 0 ? 'status.dropping' : 'status.rate', params)
    return { fill: 'green', shape: rate > 0 ? 'dot' : 'ring', text }
  }

  private hear(received: Received): void {
    this.heard += 1
    if (this.latest) this.latest.push(received)
    else this.send(received)
  }

  /** Nothing may leave here as an exception: it would end Node-RED. */
  private send(received: Received): void {
    try {
      const { type, topic } = this.endpoint
      const about = { type, receivedNs: String(received.receivedNs), publisher: received.publisher }
      const shape = this.shape as Shape
      this.host.node.send(messageOf(topic, received, shape, about, (error) => this.complain(error)))
    } catch (error) {
      this.complain(error)
    }
  }

  private complain(error: unknown): void {
    const failure = toEngineError(error)
    this.host.node.error(failure, { topic: this.endpoint.topic })
  }
}
