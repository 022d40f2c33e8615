/** What a `millrace-ros2-in` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { Endpoint, type Role } from './endpoint'
import { type HeaderPlace, headerPlace, stampAt } from './header'
import type { InConfig, inConfig } from './in.config'
import { Latest } from './latest'
import { Codec, type Context, type Graph, type GraphEndpoint, type Qos, type Received, type Subscription } from './lib'
import { type Mismatch, refusal } from './match'
import { qosOf } from './qos.config'

const HEADER = 'std_msgs/msg/Header'

type InHost = Host<(typeof inConfig)['fields']>
type Payload = Record<string, unknown>

export class Listener implements Role<Subscription> {
  private readonly endpoint: Endpoint<Subscription>
  private readonly config: InConfig
  private readonly qos: Required<Qos>
  private readonly latest: Latest<Received> | undefined
  private header: HeaderPlace = 'none'
  private headers: Codec | undefined
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
    this.header = headerPlace(definitions)
    if (output === 'header' && this.header === 'none') {
      throw new EngineError('INVALID_OPTION', this.host.text('failure.header', { type }))
    }
    this.headers ??= new Codec(HEADER, context.definitions.resolve(HEADER))
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
    const { node } = this.host
    try {
      const message: Payload = { topic: this.endpoint.topic, payload: undefined, ros2: this.about(received) }
      if (this.config.output === 'lazy') this.later(message, received)
      else message.payload = this.payloadOf(received)
      node.send(message)
    } catch (error) {
      this.complain(error)
    }
  }

  private payloadOf(received: Received): unknown {
    switch (this.config.output) {
      case 'raw':
        return received.cdr
      case 'header':
        return this.headerOf(received)
      default:
        return received.message
    }
  }

  /** At the beginning of a message it can be read without the rest. */
  private headerOf(received: Received): unknown {
    return this.header === 'first' ? this.headers?.decode(received.cdr) : received.message.header
  }

  /** The payload is decoded when it is first asked for; a copy of the message has it decoded. */
  private later(message: Payload, received: Received): void {
    const settle = (value: unknown) => {
      Object.defineProperty(message, 'payload', { value, writable: true, enumerable: true, configurable: true })
      return value
    }
    const get = () => {
      try {
        return settle(received.message)
      } catch (error) {
        settle(undefined)
        this.complain(error)
        return undefined
      }
    }
    Object.defineProperty(message, 'payload', { get, set: settle, enumerable: true, configurable: true })
  }

  private about(received: Received): Payload {
    const { output } = this.config
    const about: Payload = {
      type: this.endpoint.type,
      receivedNs: String(received.receivedNs),
      publisher: received.publisher,
    }
    const isDecoded = output === 'object' || output === 'header'
    if (this.header === 'first') about.stampNs = stampAt(received.cdr)
    else if (this.header === 'inside' && isDecoded) about.stampNs = stampOf(received.message.header)
    return about
  }

  private complain(error: unknown): void {
    const failure = toEngineError(error)
    this.host.node.error(failure, { topic: this.endpoint.topic })
  }
}

function stampOf(header: unknown): string {
  const { sec, nanosec } = (header as { stamp: { sec: number; nanosec: number } }).stamp
  return String(BigInt(sec) * 1_000_000_000n + BigInt(nanosec))
}
