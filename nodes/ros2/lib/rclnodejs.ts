/**
 * The machine's own ROS 2, through the package `rclnodejs`: whatever middleware it is set to, with its
 * security and its types. It says neither when a message was published nor by whom.
 */
import { arrivalClock } from '../../shared/clock'
import { EngineError, quote } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { Matching } from './matching'
import { NAMESPACE, NODE_NAME } from './names'
import { SampleQueue } from './queue'
import {
  attempt,
  failed,
  type Named,
  type Rcl,
  type RclContext,
  type RclEndpoint,
  type RclNode,
  type RclPublisher,
  type RclTime,
  soon,
  typeOf,
} from './rcl'
import { type Home, openAnswerer, openCaller } from './rclnodejs-services'
import { stampOf } from './stamp'
import type {
  Answerer,
  Caller,
  Graph,
  GraphEndpoint,
  GraphNode,
  Inlet,
  JoinOptions,
  Matcher,
  Outlet,
  Qos,
  Sample,
  SynchronizeOptions,
  Transport,
  Wanted,
  WantedService,
} from './transport'

/** ROS 2's numbers for its policies. */
const KEEP_LAST = 1
const KEEP_ALL = 2
const RELIABLE = 1
const BEST_EFFORT = 2
const TRANSIENT_LOCAL = 1
const VOLATILE = 2
const AUTOMATIC = 1
const MANUAL_BY_TOPIC = 3

/** The package passes no refusals on; the graph has the qualities. */
const NOBODY = { count: 0 }

const RANGES = { subnet: 'SUBNET', localhost: 'LOCALHOST', off: 'OFF', 'system-default': 'SYSTEM_DEFAULT' } as const
const MAX_DOMAIN = 232
const HEADER = 4
/** A new subscription waits at most so long for the thread that waits for messages. */
const SPIN_MS = 5
/** ROS 2 tells of changes of its graph, but the package does not pass that on: it has to be looked at. */
const GRAPH_MS = 500
/** So ROS 2 writes that a time has no end. */
const ENDLESS_NS = 2n ** 63n - 1n

const SERVICE_DEPTH = 1000

/** How services speak. */
const SERVICE_QOS: Required<Qos> = {
  ...{ reliability: 'reliable', durability: 'volatile', history: 'keep-last', depth: 10 },
  ...{ deadlineMs: null, lifespanMs: null, liveliness: 'automatic', leaseMs: null },
}

/** `onGraph` is called when something in the domain came, went or changed. Only where `whyNotRclnodejs` says nothing. */
export async function openRclnodejs(options: JoinOptions, onGraph: () => void): Promise<Transport> {
  check(options)
  const rcl = optional<Rcl>('rclnodejs', 'a sourced ROS 2')
  // It ends all contexts at the first SIGINT; when to close ours is for their owners to say.
  rcl.removeSignalHandlers()
  const { domain, name = 'millrace', namespace = '/' } = options
  const context = attempt('joining', () => new rcl.Context(domain === undefined ? undefined : BigInt(domain)))
  try {
    await within(surroundings(options), () => rcl.init(context, []))
    const settings = { startParameterServices: false, startTypeDescriptionService: false, enableRosout: false }
    const node = new rcl.Node(name, namespace, context, Object.assign(new rcl.NodeOptions(), settings), [], false)
    node.spin(SPIN_MS)
    return new Rclnodejs(rcl, context, node, onGraph)
  } catch (cause) {
    attempt('leaving', () => context.tryShutdown())
    throw failed('joining', cause)
  }
}

class Rclnodejs implements Transport {
  readonly name = 'rclnodejs'
  private readonly arrival = arrivalClock()
  private readonly timer: NodeJS.Timeout
  private seen: string
  private closed = false

  constructor(
    private readonly rcl: Rcl,
    private readonly context: RclContext,
    private readonly node: RclNode,
    private readonly onGraph: () => void,
  ) {
    this.seen = this.outline()
    this.timer = setInterval(() => this.look(), GRAPH_MS).unref()
    if (open.size === 0) process.on('exit', endAll)
    open.add(context)
  }

  subscribe(wanted: Wanted, onReady: () => void): Inlet {
    const queue = new SampleQueue<Sample>(wanted.maxSamples, wanted.maxBytes)
    const wake = soon(onReady)
    const close = this.hear(wanted, (sample) => {
      if (queue.push(sample)) wake()
    })
    return {
      take: (limit) => queue.take(limit),
      counts: () => queue.counts(),
      refused: () => NOBODY,
      close: async () => {
        close()
        queue.clear()
      },
    }
  }

  publish({ topic, type, qos }: Wanted): Outlet {
    this.open()
    const [name, options] = [typeOf(topic, type), { qos: this.qosOf(qos) }]
    let publisher: RclPublisher | undefined = attempt('advertising', () =>
      this.node.createPublisher(name, topic, options),
    )
    const outlet = () => {
      if (!publisher || this.closed) throw new EngineError('CLOSED', 'the publisher is closed; open it again')
      return publisher
    }
    return {
      send(cdr) {
        const target = outlet()
        if (cdr.length < HEADER) {
          throw new EngineError('INVALID_INPUT', `${cdr.length} bytes are no CDR message; it begins with a header`)
        }
        const bytes = Buffer.isBuffer(cdr) ? cdr : Buffer.from(cdr.buffer, cdr.byteOffset, cdr.byteLength)
        attempt('publishing', () => target.publish(bytes))
      },
      refused: () => NOBODY,
      matched: () => attempt('counting', () => outlet().subscriptionCount),
      close: async () => {
        const ended = publisher
        publisher = undefined
        if (ended && !this.closed) attempt('closing', () => this.node.destroyPublisher(ended))
      },
    }
  }

  synchronize(options: SynchronizeOptions, onReady: () => void): Matcher {
    this.open()
    const matching = new Matching(options)
    const wake = soon(onReady)
    const closings: (() => void)[] = []
    const close = async () => {
      for (const end of closings.splice(0)) end()
    }
    try {
      options.subscriptions.forEach((wanted, place) => {
        const hear = (sample: Sample) => {
          const steps = options.stamps[place]
          const stamp = steps ? stampOf(sample.cdr, steps) : sample.receivedNs
          // Zero is what a publisher sends that never set it.
          if (!stamp) matching.unstamped(place)
          else if (matching.push(place, stamp, sample)) wake()
        }
        closings.push(this.hear(wanted, hear))
      })
    } catch (error) {
      close()
      throw error
    }
    return {
      take: (limit) => matching.take(limit),
      dueInMs: () => matching.dueInMs(),
      stats: () => matching.stats(),
      lost: () => matching.lost(),
      left: () => matching.left(),
      stall: () => matching.stall(),
      close,
    }
  }

  client(wanted: WantedService, onReady: () => void): Caller {
    return openCaller(this.home(), wanted, onReady)
  }

  serve(wanted: WantedService, onReady: () => void): Answerer {
    return openAnswerer(this.home(), wanted, onReady)
  }

  graph(): Graph {
    this.open()
    return attempt('looking around', () => graphOf(this.node))
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    clearInterval(this.timer)
    open.delete(this.context)
    if (open.size === 0) process.off('exit', endAll)
    // Ending its thread runs the event loop within this call. Within an immediate, Node.js would then lose others'
    // immediates; within a timer it loses nothing.
    await new Promise<void>((resolve, reject) => {
      setTimeout(() => {
        try {
          this.context.tryShutdown()
          resolve()
        } catch (cause) {
          reject(failed('leaving', cause))
        }
      }, 0)
    })
  }

  /** What `hear` does may not throw: it is called from ROS 2's own code, which would end the process. */
  private hear({ topic, type, qos }: Wanted, hear: (sample: Sample) => void): () => void {
    this.open()
    const [name, options] = [typeOf(topic, type), { qos: this.qosOf(qos), isRaw: true }]
    let subscription: object | undefined = attempt('subscribing', () =>
      this.node.createSubscription(name, topic, options, (cdr) => hear({ cdr, receivedNs: this.arrival() })),
    )
    return () => {
      const ended = subscription
      subscription = undefined
      if (ended && !this.closed) attempt('closing', () => this.node.destroySubscription(ended))
    }
  }

  private home(): Home {
    this.open()
    const { node, arrival: now } = this
    // As services speak, but keeping more than the ten messages that ROS 2 keeps.
    const options = { qos: this.qosOf({ reliability: 'reliable', depth: SERVICE_DEPTH }) }
    return { node, options, isOver: () => this.closed, now }
  }

  private open(): void {
    if (this.closed) throw new EngineError('CLOSED', 'the context is closed; open it again')
  }

  private qosOf(qos: Qos = {}): object {
    const { reliability, durability, history, depth = 1, liveliness } = qos
    for (const time of ['deadlineMs', 'lifespanMs', 'leaseMs'] as const) {
      if ((qos[time] ?? null) === null) continue
      throw new EngineError(
        'INVALID_OPTION',
        `${time} is ${quote(qos[time])}, which rclnodejs cannot say; leave it out, or choose the native transport`,
      )
    }
    if (!Number.isInteger(depth) || depth < 0) {
      throw new EngineError('INVALID_OPTION', `depth is ${quote(depth)}; use a whole number from 1`)
    }
    return new this.rcl.QoS(
      history === 'keep-all' ? KEEP_ALL : KEEP_LAST,
      Math.max(1, depth),
      reliability === 'reliable' ? RELIABLE : BEST_EFFORT,
      durability === 'transient-local' ? TRANSIENT_LOCAL : VOLATILE,
      liveliness === 'manual-by-topic' ? MANUAL_BY_TOPIC : AUTOMATIC,
    )
  }

  private look(): void {
    const outline = this.outline()
    if (outline === this.seen) return
    this.seen = outline
    this.onGraph()
  }

  /** As much of the graph as costs little. */
  private outline(): string {
    try {
      const { node } = this
      const count = ({ name, types }: Named) => [name, types, node.countPublishers(name), node.countSubscribers(name)]
      return JSON.stringify([node.getNodeNamesAndNamespaces(), node.getTopicNamesAndTypes().map(count)])
    } catch {
      // Who asks for the graph itself is told why.
      return this.seen
    }
  }
}

/** What is open when the process ends would be freed in no order, which crashes where there are clients of services. */
const open = new Set<RclContext>()

function endAll(): void {
  for (const context of open) {
    try {
      context.tryShutdown()
    } catch {
      // Nobody is left to tell.
    }
  }
}

/** What TypeScript would have said, and what the environment variables do not take. */
function check(options: JoinOptions): void {
  const { domain, name, namespace, discovery, peers, interface: network, cycloneddsUri, ...unknown } = options
  const wrong = (what: string, value: unknown, expected: string) =>
    new EngineError('INVALID_OPTION', `${what} is ${quote(value)}; use ${expected}`)
  const [other] = Object.keys(unknown)
  if (other !== undefined) throw wrong('the option', other, 'one that exists')
  if (domain !== undefined && !(Number.isInteger(domain) && domain >= 0 && domain <= MAX_DOMAIN)) {
    throw wrong('domain', domain, `a whole number from 0 to ${MAX_DOMAIN}`)
  }
  if (name !== undefined && !NODE_NAME.test(name)) throw wrong('name', name, 'letters, digits and _')
  if (namespace !== undefined && !NAMESPACE.test(namespace)) throw wrong('namespace', namespace, '/ or /robot')
  if (discovery !== undefined && !Object.hasOwn(RANGES, discovery)) {
    throw wrong('discovery', discovery, Object.keys(RANGES).join(', '))
  }
  if (peers?.some((peer) => peer.includes(';'))) throw wrong('peers', peers, 'one address an entry')
}

/** ROS 2 takes from its environment variables what a context cannot be told. */
function surroundings({ discovery, peers }: JoinOptions): Record<string, string> {
  return {
    ...(discovery && { ROS_AUTOMATIC_DISCOVERY_RANGE: RANGES[discovery] }),
    ...(peers && { ROS_STATIC_PEERS: peers.join(';') }),
    // Humble knows only this.
    ...(process.env.ROS_DISTRO === 'humble' &&
      discovery && { ROS_LOCALHOST_ONLY: discovery === 'localhost' ? '1' : '0' }),
  }
}

/** Calls `start` with these environment variables; they are as before when it returns. */
function within<T>(variables: Record<string, string>, start: () => T): T {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    return start()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

function graphOf(node: RclNode): Graph {
  const own = (name: string, namespace: string) => name === node.name() && namespace === node.namespace()
  const nodes: GraphNode[] = node
    .getNodeNamesAndNamespaces()
    .map(({ namespace, name }) => ({ namespace, name, own: own(name, namespace) }))
  nodes.sort((a, b) => order(a.namespace, b.namespace) || order(a.name, b.name))
  const publishers: GraphEndpoint[] = []
  const subscriptions: GraphEndpoint[] = []
  for (const { name } of node.getTopicNamesAndTypes()) {
    for (const found of node.getPublishersInfoByTopic(name)) publishers.push(endpointOf(name, found, own))
    for (const found of node.getSubscriptionsInfoByTopic(name)) subscriptions.push(endpointOf(name, found, own))
  }
  for (const owner of nodes) {
    // A server hears requests and says replies; a client the other way round.
    for (const service of servicesOf(() => node.getServiceNamesAndTypesByNode(owner.name, owner.namespace))) {
      subscriptions.push(serviceOf(owner, service, 'Request'))
      publishers.push(serviceOf(owner, service, 'Response'))
    }
    for (const service of servicesOf(() => node.getClientNamesAndTypesByNode(owner.name, owner.namespace))) {
      publishers.push(serviceOf(owner, service, 'Request'))
      subscriptions.push(serviceOf(owner, service, 'Response'))
    }
  }
  const sorted = (all: GraphEndpoint[]) =>
    all.sort((a, b) => order(a.topic, b.topic) || order(a.gid ?? '', b.gid ?? ''))
  return { nodes, publishers: sorted(publishers), subscriptions: sorted(subscriptions) }
}

/** A node may be gone since it was listed. */
function servicesOf(ask: () => Named[]): Named[] {
  try {
    return ask()
  } catch {
    return []
  }
}

function serviceOf(node: GraphNode, { name, types }: Named, part: string): GraphEndpoint {
  return { topic: name, type: `${types[0]}_${part}`, service: true, node, own: node.own, gid: null, qos: SERVICE_QOS }
}

type IsOwn = (name: string, namespace: string) => boolean

function endpointOf(topic: string, found: RclEndpoint, isOwn: IsOwn): GraphEndpoint {
  const { node_name: name, node_namespace: namespace, qos_profile: qos } = found
  const own = isOwn(name, namespace)
  return {
    topic,
    type: found.topic_type,
    service: false,
    // So it calls what is not of ROS.
    node: name.startsWith('_') && name.endsWith('_APP_') ? null : { namespace, name, own },
    own,
    gid: Buffer.from(found.endpoint_gid).toString('hex'),
    qos: {
      reliability: qos.reliability === RELIABLE ? 'reliable' : 'best-effort',
      durability: qos.durability === TRANSIENT_LOCAL ? 'transient-local' : 'volatile',
      // Over the network neither is told.
      history: qos.history === KEEP_ALL ? 'keep-all' : 'keep-last',
      depth: Math.max(1, qos.depth),
      deadlineMs: msOf(qos.deadline),
      lifespanMs: msOf(qos.lifespan),
      liveliness: qos.liveliness === MANUAL_BY_TOPIC ? 'manual-by-topic' : 'automatic',
      leaseMs: msOf(qos.liveliness_lease_duration),
    },
  }
}

/** None said is none wanted. */
function msOf({ seconds, nanoseconds }: RclTime): number | null {
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
  return ns === 0n || ns >= ENDLESS_NS ? null : Number(ns) / 1e6
}

function order(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
