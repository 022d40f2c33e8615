/** One end of a topic: a subscription or a publisher, which comes and goes with the context. */
import type { NodeStatus } from 'node-red'
import type { Reply } from '../shared/node'
import { longType } from './fields'
import type { Context, Graph, GraphEndpoint, Qos, Refused } from './lib'
import type { Mismatch } from './match'
import { Member, type MemberHost, type MemberRole } from './member'
import { Others } from './others'

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
}

interface Ending {
  refused(): Refused
  close(): Promise<void>
}

export class Endpoint<End extends Ending> implements MemberRole<End> {
  readonly others: Others
  private readonly member: Member<End>

  constructor(
    host: MemberHost,
    config: EndpointConfig,
    private readonly role: Role<End>,
  ) {
    this.member = new Member(host, config.context, this)
    const topic = this.member.nameOf(config.topic)
    this.others = new Others(host, topic, longType(config.messageType), (qos) => role.refuses(qos))
  }

  get topic(): string {
    return this.others.topic
  }

  get type(): string {
    return this.others.type
  }

  join(): void {
    this.member.join()
  }

  close(): Promise<void> {
    return this.member.close()
  }

  deal(reply: Reply, act: (end: End) => void): void {
    this.member.deal(reply, act)
  }

  open(context: Context): End {
    return this.role.open(context)
  }

  changed(graph: Graph | null, end: End | undefined): void {
    if (!graph) return this.others.forget()
    this.others.look(this.role.others(graph))
    if (end) this.others.heed(end.refused())
  }

  live(end: End): NodeStatus {
    return this.others.status() ?? this.role.live(end)
  }
}
