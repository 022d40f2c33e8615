/** What a `millrace-ros2-in` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { messageLimit } from '../shared/settings'
import { short } from '../shared/status'
import { aboutOf } from './about'
import { Endpoint, type Role } from './endpoint'
import type { inConfig } from './in.config'
import { Latest } from './latest'
import type { Context, Graph, GraphEndpoint, Qos, Received, Subscription } from './lib'
import { type Mismatch, refusal } from './match'
import { type Payloads, payloadsOf } from './payload'
import { qosOf } from './qos.config'
import { Rate } from './rate'

/** So many messages wait at most for the flow. */
const WAITING_MAX = 1000

type InHost = Host<(typeof inConfig)['fields']>

export class Listener implements Role<Subscription> {
  private readonly endpoint: Endpoint<Subscription>
  private readonly qos: Required<Qos>
  private readonly latest: Latest<Received> | undefined
  private payloads: Payloads | undefined
  private readonly heard = new Rate()

  constructor(private readonly host: InHost) {
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
    const { int64, arrays, output } = this.host.config
    const { topic, type } = this.endpoint
    this.payloads = payloadsOf(context, type, output, () => this.host.text('failure.header', { type }))
    const maxSamples = Math.min(messageLimit(this.host.RED), WAITING_MAX)
    const options = { qos: this.qos, int64, arrays, raw: output === 'raw', maxSamples }
    return context.subscribe(topic, type, (received) => this.hear(received), options)
  }

  others(graph: Graph): GraphEndpoint[] {
    return graph.publishers
  }

  refuses(offered: Required<Qos>): Mismatch | null {
    return refusal(this.qos, offered)
  }

  live(subscription: Subscription): NodeStatus {
    const rate = this.heard.look()
    if (rate === 0 && this.endpoint.others.count === 0) {
      return { fill: 'grey', shape: 'ring', text: this.host.text('status.nobody') }
    }
    const { dropped } = subscription.counts()
    const type = this.endpoint.type.split('/').at(-1) ?? ''
    const params = { rate: short(rate), type, dropped: short(dropped) }
    const text = this.host.text(dropped > 0 ? 'status.dropping' : 'status.rate', params)
    return { fill: 'green', shape: rate > 0 ? 'dot' : 'ring', text }
  }

  private hear(received: Received): void {
    this.heard.add()
    if (this.latest) this.latest.push(received)
    else this.send(received)
  }

  /** Nothing may leave here as an exception: it would end Node-RED. */
  private send(received: Received): void {
    try {
      const { payloads } = this
      if (!payloads) return
      const { topic, type } = this.endpoint
      const message: Record<string, unknown> = { topic, payload: undefined, ros2: aboutOf(type, received, payloads) }
      payloads.put(message, 'payload', received, (error) => this.complain(error))
      this.host.node.send(message)
    } catch (error) {
      this.complain(error)
    }
  }

  private complain(error: unknown): void {
    this.host.node.error(toEngineError(error), { topic: this.endpoint.topic })
  }
}
