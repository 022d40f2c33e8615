/** What a `millrace-ros2-out` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { Endpoint, type Role } from './endpoint'
import type { Context, Graph, GraphEndpoint, Publisher, Qos } from './lib'
import { type Mismatch, refusal } from './match'
import type { outConfig } from './out.config'
import { qosOf } from './qos.config'

type OutHost = Host<(typeof outConfig)['fields']>

/** So many messages wait for the context to open. */
const WAITING_MAX = 1000

export class Talker implements Role<Publisher> {
  private readonly endpoint: Endpoint<Publisher>
  private readonly qos: Required<Qos>
  private readonly waitingMax: number
  private waiting: { payload: unknown; reply: Reply }[] = []
  /** None while the context opens for the first time. */
  private outlet: Publisher | EngineError | undefined
  private sent = 0

  constructor(private readonly host: OutHost) {
    this.qos = qosOf(host.config)
    const limit = host.RED.settings.nodeMessageBufferMaxLength
    this.waitingMax = typeof limit === 'number' && limit > 0 ? Math.min(limit, WAITING_MAX) : WAITING_MAX
    this.endpoint = new Endpoint(host, host.config, this)
    this.endpoint.join()
  }

  input({ payload }: Message, reply: Reply): void {
    if (!this.outlet) return this.wait(payload, reply)
    this.publish(this.outlet, payload)
    reply.done()
  }

  async close(): Promise<void> {
    this.settled(new EngineError('CLOSED', this.host.text('failure.closed')))
    await this.endpoint.close()
  }

  open(context: Context): Publisher {
    return context.advertise(this.endpoint.topic, this.endpoint.type, this.qos)
  }

  settled(outlet: Publisher | EngineError): void {
    this.outlet = outlet
    for (const { payload, reply } of this.waiting.splice(0)) {
      try {
        this.publish(outlet, payload)
        reply.done()
      } catch (error) {
        reply.done(error)
      }
    }
  }

  others(graph: Graph): GraphEndpoint[] {
    return graph.subscriptions
  }

  refuses(wanted: Required<Qos>): Mismatch | null {
    return refusal(wanted, this.qos)
  }

  live(publisher: Publisher): NodeStatus {
    const matched = publisher.matched()
    const text = this.host.text('status.sent', { sent: short(this.sent), matched: short(matched) })
    return matched > 0 ? { fill: 'green', shape: 'dot', text } : { fill: 'grey', shape: 'ring', text }
  }

  private wait(payload: unknown, reply: Reply): void {
    if (this.waiting.length >= this.waitingMax) throw new EngineError('BUFFER_FULL', this.host.text('failure.waiting'))
    this.waiting.push({ payload, reply })
  }

  private publish(outlet: Publisher | EngineError, payload: unknown): void {
    if (outlet instanceof EngineError) throw outlet
    if (payload === null || typeof payload !== 'object') {
      const params = { given: quote(payload), type: this.endpoint.type }
      throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', params))
    }
    outlet.send(payload)
    this.sent += 1
  }
}
