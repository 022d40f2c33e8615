/** What a `millrace-ros2-sync` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, toEngineError } from '../shared/errors'
import type { SyncGroup } from '../shared/group'
import { MATCHING } from '../shared/matching.config'
import type { Host } from '../shared/node'
import { messageLimit } from '../shared/settings'
import { short } from '../shared/status'
import { aboutOf } from './about'
import { longType } from './fields'
import { type Context, type Graph, type Left, type Received, Synchronizer } from './lib'
import { refusal } from './match'
import { Member, type MemberRole } from './member'
import { Others } from './others'
import { type Payloads, payloadsOf } from './payload'
import { presetQos } from './qos.config'
import { Rate } from './rate'
import type { Ros2TopicRow, syncConfig } from './sync.config'

type SyncHost = Host<(typeof syncConfig)['fields']>

interface Stream {
  row: Ros2TopicRow
  others: Others
  payloads?: Payloads
}

const WATCH_MS = 1000

export class Gatherer implements MemberRole<Synchronizer> {
  private readonly member: Member<Synchronizer>
  private readonly streams: ReadonlyMap<string, Stream>
  private readonly watching: NodeJS.Timeout
  private synchronizer: Synchronizer | undefined
  private readonly groups = new Rate()
  private dropped = 0
  private stalled: string | undefined
  /** What the synchroniser had counted at the last look. */
  private before: { left: Record<string, Left>; jumps: number } = { left: {}, jumps: 0 }

  constructor(private readonly host: SyncHost) {
    this.member = new Member(host, host.config.context, this)
    const streams = host.config.topics.map((row) => this.streamOf(row))
    this.streams = new Map(streams)
    const twice = streams.find(([topic], place) => streams.findIndex(([other]) => other === topic) < place)
    if (twice) throw new EngineError('INVALID_OPTION', host.text('config.topicTwice', { topic: twice[0] }))
    this.watching = setInterval(
      host.guard(() => this.watch()),
      WATCH_MS,
    ).unref()
    this.member.join()
  }

  async close(): Promise<void> {
    clearInterval(this.watching)
    await this.member.close()
  }

  open(context: Context): Synchronizer {
    const { config, text } = this.host
    const { int64, arrays, output } = config
    const matching = Object.fromEntries(MATCHING.map((name) => [name, config[name]]))
    const synchronizer = new Synchronizer(context, { ...matching, bufferSize: this.bufferSize, int64, arrays })
    for (const [topic, stream] of this.streams) {
      const { required, minPeriodMs, qos } = stream.row
      const { type } = stream.others
      stream.payloads = payloadsOf(context, type, output, () => text('failure.header', { type }))
      synchronizer.addSubscription(type, topic, presetQos(qos), { required, minPeriodMs })
    }
    this.before = { left: {}, jumps: 0 }
    this.stalled = undefined
    synchronizer.onSynchronized((group) => this.send(group))
    this.synchronizer = synchronizer
    return synchronizer
  }

  changed(graph: Graph | null): void {
    if (!graph) this.synchronizer = undefined
    for (const { others } of this.streams.values()) {
      if (graph) others.look(graph.publishers)
      else others.forget()
    }
  }

  live(): NodeStatus {
    const { text } = this.host
    const streams = [...this.streams.values()]
    const mismatch = streams.map(({ others }) => others.status()).find(Boolean)
    if (mismatch) return mismatch
    const rate = this.groups.look()
    const missing = streams.find(({ row, others }) => row.required && others.count === 0)
    if (this.stalled !== undefined || (rate === 0 && missing)) {
      const topic = this.stalled ?? missing?.others.topic ?? ''
      const fill = this.stalled === undefined ? 'grey' : 'yellow'
      return { fill, shape: 'ring', text: text('status.stalled', { topic }) }
    }
    const counts = { rate: short(rate), dropped: short(this.dropped) }
    const shown = text(this.dropped > 0 ? 'status.dropping' : 'status.rate', counts)
    return { fill: 'green', shape: rate > 0 ? 'dot' : 'ring', text: shown }
  }

  private streamOf(row: Ros2TopicRow): [string, Stream] {
    const topic = this.member.nameOf(row.topic)
    const wanted = presetQos(row.qos)
    const refuses = (offered: typeof wanted) => refusal(wanted, offered)
    return [topic, { row, others: new Others(this.host, topic, longType(row.messageType), refuses) }]
  }

  /** Node-RED's limit for all messages that a node may hold, shared by the topics. */
  private get bufferSize(): number {
    const share = Math.max(2, Math.floor(messageLimit(this.host.RED) / this.streams.size))
    return Math.min(share, this.host.config.bufferSize)
  }

  /** Nothing may leave here as an exception: it would end Node-RED. */
  private send(group: SyncGroup<Received>): void {
    this.groups.add()
    this.stalled = undefined
    try {
      const topics = group.topics()
      const payload: Record<string, unknown> = {}
      for (const topic of topics) {
        const complain = (error: unknown) => this.complain(error, topic)
        this.streams.get(topic)?.payloads?.put(payload, topic, group.get(topic) as Received, complain)
      }
      const about = (topic: string) => {
        const { payloads, others } = this.streams.get(topic) ?? {}
        return payloads && others && aboutOf(others.type, group.get(topic) as Received, payloads)
      }
      const stamps = Object.fromEntries(topics.map((topic) => [topic, String(group.stampNs(topic))]))
      const sync = { timestampNs: String(group.timestampNs), skewMs: Number(group.skewNs) / 1e6, topics, stamps }
      const ros2 = Object.fromEntries(topics.map((topic) => [topic, about(topic)]))
      this.host.node.send([{ payload, sync, ros2 }, null])
    } catch (error) {
      this.complain(error)
    }
  }

  private complain(error: unknown, topic?: string): void {
    this.host.node.error(toEngineError(error), topic === undefined ? {} : { topic })
  }

  /** Once a second: what found no group is told as counts, as the messages themselves never get here. */
  private watch(): void {
    const { synchronizer, host } = this
    if (!synchronizer) return
    const left = synchronizer.left()
    const { clockJumps, lastJump } = synchronizer.stats()
    const news = newly(this.before.left, left)
    const dropped = Object.values(news)
      .flatMap(Object.values)
      .reduce((sum, count) => sum + count, 0)
    if (clockJumps > this.before.jumps) host.node.warn(host.text('warning.clockJump', { topic: lastJump ?? '' }))
    this.before = { left, jumps: clockJumps }
    this.dropped += dropped
    if (dropped > 0) host.node.send([null, { payload: news, sync: { dropped } }])
    const stalled = synchronizer.stall()
    if (!stalled) return
    this.stalled = stalled[0]
    host.node.warn(host.text('warning.stall', { topics: stalled.join(', ') }))
    this.member.show()
  }
}

/** By topic and reason, how many more there are; topics and reasons without any are absent. */
function newly(before: Record<string, Left>, now: Record<string, Left>): Record<string, Left> {
  const grown = (topic: string, left: Left) =>
    Object.entries(left)
      .map(([reason, count]) => [reason, count - (before[topic]?.[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0)
  return Object.fromEntries(
    Object.entries(now)
      .map(([topic, left]) => [topic, Object.fromEntries(grown(topic, left))] as const)
      .filter(([, left]) => Object.keys(left).length > 0),
  )
}
