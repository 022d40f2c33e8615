/** What a `millrace-ros2-call` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import type { callConfig } from './call.config'
import { longType } from './fields'
import type { Context, ServiceClient } from './lib'
import { Member, type MemberRole } from './member'

type CallHost = Host<(typeof callConfig)['fields']>

export class Asker implements MemberRole<ServiceClient> {
  private readonly member: Member<ServiceClient>
  /** Absolute. */
  private readonly service: string
  private readonly type: string
  /** The service asks for nothing: any message calls it. */
  private asksNothing = false
  private answered = 0

  constructor(private readonly host: CallHost) {
    this.member = new Member(host, host.config.context, this)
    this.service = this.member.nameOf(host.config.service)
    this.type = longType(host.config.serviceType, 'srv')
    this.member.join()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const client = await this.member.ready()
    const { timeoutMs } = this.host.config
    message.payload = await client.call(this.requestOf(message.payload), { timeoutMs })
    message.ros2 = { type: this.type }
    this.answered += 1
    this.member.show()
    reply.send(message)
    reply.done()
  }

  close(): Promise<void> {
    return this.member.close()
  }

  open(context: Context): ServiceClient {
    const [request] = context.definitions.resolveService(this.type).request
    this.asksNothing = request?.definitions.every((field) => field.isConstant) ?? true
    return context.client(this.service, this.type, { int64: this.host.config.int64 })
  }

  live(client: ServiceClient): NodeStatus {
    if (!client.isReady()) return { fill: 'grey', shape: 'ring', text: this.host.text('status.nobody') }
    const params = { answered: short(this.answered), pending: short(client.pending) }
    const text = this.host.text(client.pending > 0 ? 'status.pending' : 'status.answered', params)
    return { fill: 'green', shape: client.pending > 0 ? 'ring' : 'dot', text }
  }

  private requestOf(payload: unknown): unknown {
    if (Buffer.isBuffer(payload)) return payload
    if (this.asksNothing) return {}
    if (payload !== null && typeof payload === 'object') return payload
    const params = { given: quote(payload), type: this.type }
    throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', params))
  }
}
