/** Those at the other end of a topic, and whether the two ends get on. */
import type { NodeStatus } from 'node-red'
import { absolute } from './fields'
import type { GraphEndpoint, Qos, Refused } from './lib'
import { firstMismatch, type Mismatch, policies } from './match'
import type { MemberHost } from './member'

const toldByGraph = new Set<string>(policies)

export class Others {
  /** None known before the first look. */
  count = 0
  private mismatch: Mismatch | null = null
  /** So many refusals are known. */
  private refusals = 0

  constructor(
    private readonly host: Pick<MemberHost, 'node' | 'text'>,
    /** Absolute. */
    readonly topic: string,
    /** In its long form. */
    readonly type: string,
    private readonly refuses: (other: Required<Qos>) => Mismatch | null,
  ) {}

  /** Looks among all ends of that kind; warns once of one that our end does not get on with. */
  look(ends: readonly GraphEndpoint[]): void {
    const others = ends.filter(({ topic, service }) => topic === this.topic && !service)
    this.count = others.length
    const found = firstMismatch(others, this.type, this.refuses)
    if (found && found.reason !== this.mismatch) this.host.node.warn(this.warning(found.other, found.reason))
    this.mismatch = found?.reason ?? null
  }

  /** The transport knows of policies that the graph says nothing of; of the others it may know before the graph does. */
  heed({ count, policy }: Refused): void {
    if (count > this.refusals && policy && !toldByGraph.has(policy)) {
      this.host.node.warn(this.host.text('mismatch.policy', { topic: this.topic, policy }))
    }
    this.refusals = count
  }

  /** The own end is gone, and with it what it knew. */
  forget(): void {
    this.count = 0
    this.refusals = 0
  }

  /** What is wrong between the two. */
  status(): NodeStatus | null {
    if (!this.mismatch) return null
    return { fill: 'yellow', shape: 'ring', text: this.host.text(`status.mismatch.${this.mismatch}`) }
  }

  private warning(other: GraphEndpoint, reason: Mismatch): string {
    const name = other.node ? absolute(other.node.name, other.node.namespace) : (other.gid ?? '')
    const params = { topic: this.topic, node: name, type: other.type }
    return this.host.text(`mismatch.${reason}`, params)
  }
}
