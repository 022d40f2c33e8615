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

export class Talker implements Role<Publisher> {
  private readonly endpoint: Endpoint<Publisher>
  private readonly qos: Required<Qos>
  private sent = 0

  constructor(private readonly host: OutHost) {
    this.qos = qosOf(host.config)
    this.endpoint = new Endpoint(host, host.config, this)
    this.endpoint.join()
  }

  input({ payload }: Message, reply: Reply): void {
    this.endpoint.deal(reply, (publisher) => this.publish(publisher, payload))
  }

  close(): Promise<void> {
    return this.endpoint.close()
  }

  open(context: Context): Publisher {
    const { topic, type } = this.endpoint
    this.checkType(context, type)
    return context.publish(topic, type, this.qos)
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

  /** A type without a definition can be spoken raw; who meant another one should know. */
  private checkType(context: Context, type: string): void {
    try {
      context.definitions.resolve(type)
    } catch (error) {
      if ((error as EngineError).code !== 'UNKNOWN_TYPE') throw error
      this.host.node.warn(this.host.text('warning.rawOnly', { reason: (error as EngineError).message }))
    }
  }

  private publish(publisher: Publisher, payload: unknown): void {
    if (payload === null || typeof payload !== 'object') {
      const params = { given: quote(payload), type: this.endpoint.type }
      throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', params))
    }
    publisher.send(payload)
    this.sent += 1
  }
}
