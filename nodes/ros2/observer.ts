/** What a `millrace-ros2-graph` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import type { graphConfig } from './graph.config'
import { Latest } from './latest'
import type { Context, Graph } from './lib'
import { Member, type MemberRole } from './member'
import { changesOf, type Filter, type Item, itemsOf, sceneOf } from './scene'

type GraphHost = Host<(typeof graphConfig)['fields']>

/** Changes leave at most so often, and so many at a time. */
const PAUSE_MS = 250
const CHANGES_MAX = 1000
/** So long others need to show themselves. */
const DISCOVERY_MS = 1000

/** What the node has of a context: no end of its own, a look at all of them. */
interface View {
  graph(): Graph
  close(): Promise<void>
}

export class Observer implements MemberRole<View> {
  private readonly member: Member<View>
  private readonly filter: Filter
  private readonly looks: Latest<Graph>
  private known = new Map<string, Item>()
  private start: NodeJS.Timeout | undefined

  constructor(private readonly host: GraphHost) {
    const { prefix, hideOwn, hideHidden } = host.config
    this.member = new Member(host, host.config.context, this)
    this.filter = { prefix: prefix && this.member.nameOf(prefix), hideOwn, hideHidden }
    this.looks = new Latest(PAUSE_MS, (graph) => host.guard(() => this.tell(graph))())
    this.member.join()
  }

  input(message: Message, reply: Reply): void {
    this.member.deal(reply, (view) => {
      message.payload = sceneOf(itemsOf(view.graph(), this.filter).values())
      reply.send([null, message])
    })
  }

  close(): Promise<void> {
    this.looks.close()
    return this.member.close()
  }

  open(context: Context): View {
    const view = { graph: () => context.graph(), close: async () => {} }
    if (this.host.config.atStart) {
      const send = this.host.guard(() => this.sendAll(view))
      this.start = setTimeout(send, DISCOVERY_MS).unref()
    }
    return view
  }

  changed(graph: Graph | null): void {
    if (graph) this.looks.push(graph)
    else clearTimeout(this.start)
  }

  live(): NodeStatus {
    const items = [...this.known.values()]
    const topics = new Set(items.flatMap((item) => (item.kind === 'node' ? [] : [item.topic])))
    const nodes = items.filter(({ kind }) => kind === 'node').length
    const text = this.host.text('status.counts', { nodes: short(nodes), topics: short(topics.size) })
    return items.length > 0 ? { fill: 'green', shape: 'dot', text } : { fill: 'grey', shape: 'ring', text }
  }

  /** What comes and goes between two looks is not told; what is too much for one message is told with the next. */
  private tell(graph: Graph): void {
    const now = itemsOf(graph, this.filter)
    const changes = changesOf(this.known, now, CHANGES_MAX)
    if (changes.length === 0) return
    for (const [identity, { event, ...item }] of changes) {
      if (event === 'added') this.known.set(identity, item as Item)
      else this.known.delete(identity)
    }
    this.host.node.send([{ payload: changes.map(([, change]) => change) }, null])
    if (changes.length === CHANGES_MAX) this.looks.push(graph)
    this.member.show()
  }

  private sendAll(view: View): void {
    this.host.node.send([null, { payload: sceneOf(itemsOf(view.graph(), this.filter).values()) }])
  }
}
