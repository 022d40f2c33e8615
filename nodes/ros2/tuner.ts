/** What a `millrace-ros2-parameters` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import type { Context, Parameters, ParameterValue } from './lib'
import { Member, type MemberRole } from './member'
import type { parametersConfig } from './parameters.config'

type ParametersHost = Host<(typeof parametersConfig)['fields']>

/** The node's parameters as long as the context is open, which has their clients. */
interface End {
  parameters: Parameters
  close(): Promise<void>
}

export class Tuner implements MemberRole<End> {
  private readonly member: Member<End>
  private done = 0
  private pending = 0

  constructor(private readonly host: ParametersHost) {
    this.member = new Member(host, host.config.context, this)
    this.member.join()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const { parameters } = await this.member.ready()
    this.pending += 1
    this.member.show()
    try {
      message.payload = await this.act(parameters, message.payload)
      this.done += 1
    } finally {
      this.pending -= 1
      this.member.show()
    }
    reply.send(message)
    reply.done()
  }

  close(): Promise<void> {
    return this.member.close()
  }

  open(context: Context): End {
    return { parameters: context.parameters(this.node), close: () => Promise.resolve() }
  }

  live(): NodeStatus {
    const text = this.host.text('status.done', { done: short(this.done) })
    return { fill: 'green', shape: this.pending > 0 ? 'ring' : 'dot', text }
  }

  private get node(): string {
    return this.member.nameOf(this.host.config.node)
  }

  private async act(parameters: Parameters, payload: unknown): Promise<unknown> {
    const { action, timeoutMs } = this.host.config
    const options = { timeoutMs }
    if (action === 'set') return this.set(parameters, payload)
    const given = this.namesOf(payload)
    if (action === 'list') return parameters.list({ ...options, prefixes: given })
    const names = given.length > 0 ? given : await parameters.list(options)
    return action === 'get' ? parameters.get(names, options) : parameters.describe(names, options)
  }

  /** All or none would be asked too much of some nodes: what is refused is named, the rest is set. */
  private async set(parameters: Parameters, payload: unknown): Promise<unknown> {
    if (payload === null || typeof payload !== 'object' || Array.isArray(payload) || Buffer.isBuffer(payload)) {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.values', { given: quote(payload) }))
    }
    const { timeoutMs } = this.host.config
    const results = await parameters.set(payload as Record<string, ParameterValue>, { timeoutMs })
    const refused = results.filter(({ successful }) => !successful)
    if (refused.length > 0) {
      const reasons = refused.map(({ name, reason }) => `${name}: ${reason || '?'}`).join('; ')
      throw new EngineError('INVALID_INPUT', this.host.text('failure.refused', { node: this.node, reasons }))
    }
    return payload
  }

  /** A name, a list of names, or anything else for all. */
  private namesOf(payload: unknown): string[] {
    if (typeof payload === 'string' && payload !== '') return [payload]
    if (!Array.isArray(payload)) return []
    if (payload.every((name) => typeof name === 'string')) return payload
    throw new EngineError('INVALID_INPUT', this.host.text('failure.names', { given: quote(payload) }))
  }
}
