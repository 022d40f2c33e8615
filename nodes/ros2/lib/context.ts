import type { Ros2Context, Ros2Publisher, Ros2Sample, Ros2Subscription, Ros2Synchronizer } from '#native'
import { EngineError, toEngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { Codec, type DecodeOptions } from './codec'
import { type DefinitionSources, Definitions } from './definitions'

export interface ContextOptions extends DefinitionSources {
  /** Default: `ROS_DOMAIN_ID`, else 0. */
  domain?: number
  /** The ROS node's name. Default `millrace`. */
  name?: string
  /** The ROS node's namespace. Default `/`. */
  namespace?: string
  /** Default: `ROS_AUTOMATIC_DISCOVERY_RANGE`, else `subnet`. */
  discovery?: 'subnet' | 'localhost' | 'off' | 'system-default'
  /** Addresses to look for others at. Default: `ROS_STATIC_PEERS`. */
  peers?: readonly string[]
  /** Name or address of the network interface. */
  interface?: string
  /** Cyclone DDS's own configuration. Default: `CYCLONEDDS_URI`. */
  cycloneddsUri?: string
}

export interface Qos {
  /** Default `best-effort`. */
  reliability?: 'best-effort' | 'reliable'
  /** Default `volatile`. */
  durability?: 'volatile' | 'transient-local'
  /** Default `keep-last`. */
  history?: 'keep-last' | 'keep-all'
  /** Default 1. */
  depth?: number
  deadlineMs?: number | null
  lifespanMs?: number | null
  liveliness?: 'automatic' | 'manual-by-topic'
  leaseMs?: number | null
}

export interface SubscribeOptions extends DecodeOptions {
  qos?: Qos
  /** So many messages wait at most for the flow; then the oldest gives way. Default 1000. */
  maxSamples?: number
  /** So many bytes wait at most. Default 64 MB. */
  maxBytes?: number
}

/** A received message. */
export interface Received {
  /** Raw, with its header. */
  cdr: Buffer
  /** When it came, ns since the epoch. */
  receivedNs: bigint
  /** When it was published, by the publisher's clock. */
  sourceNs: bigint
  /** The publisher's id, in hexadecimal. */
  publisher: string
  /** The message itself, decoded when it is first asked for. */
  readonly message: Record<string, unknown>
}

/** Those at the other end of a topic that nothing flows to or from, as the qualities do not fit. */
export interface Refused {
  /** So many since the beginning. */
  count: number
  /** What the last one lacked, such as `reliability` or `data representation`; null where there is no name for it. */
  policy: string | null
}

export interface GraphNode {
  namespace: string
  name: string
}

export interface GraphEndpoint {
  topic: string
  type: string
  service: boolean
  node: GraphNode | null
  gid: string
  qos: Required<Qos>
}

export interface Graph {
  nodes: GraphNode[]
  publishers: GraphEndpoint[]
  subscriptions: GraphEndpoint[]
}

/** So many messages are handed on in one turn of the event loop. */
const TURN = 64

/** A ROS node in a domain: hears, speaks and sees. */
export class Context {
  private constructor(
    private readonly context: Ros2Context,
    readonly definitions: Definitions,
  ) {}

  /**
   * `onGraph` is called when something in the domain came, went or changed, and when an own publisher or subscription
   * found another one, lost one, or was refused by one.
   */
  static async open(options: ContextOptions = {}, onGraph: () => void = () => {}): Promise<Context> {
    const { distribution, messages, folders, ...rest } = options
    const binding = native() as { Ros2Context?: typeof Ros2Context }
    if (!binding.Ros2Context) {
      throw new EngineError(
        'UNAVAILABLE',
        'this build has no ROS 2 in it, as cmake or libclang was missing when it was built; install them and build again',
      )
    }
    const sources = Object.entries({ distribution, messages, folders }).filter(([, value]) => value !== undefined)
    const definitions = new Definitions(Object.fromEntries(sources))
    const context = await settled(binding.Ros2Context.open(JSON.stringify(rest), onGraph))
    return new Context(context, definitions)
  }

  /** Hears a topic: `hear` gets each message, in order. */
  subscribe(
    topic: string,
    type: string,
    hear: (received: Received) => void,
    options: SubscribeOptions = {},
  ): Subscription {
    const { int64, arrays, ...rest } = options
    const codec = new Codec(type, this.definitions.resolve(type), {
      ...(int64 && { int64 }),
      ...(arrays && { arrays }),
    })
    const subscription = new Subscription(codec, hear)
    const wanted = JSON.stringify({ topic, type, ...rest })
    subscription.start(engine(() => this.context.subscribe(wanted, () => subscription.drain())))
    return subscription
  }

  /** Speaks on a topic. */
  advertise(topic: string, type: string, qos: Qos = {}): Publisher {
    const codec = new Codec(type, this.definitions.resolve(type))
    return new Publisher(
      engine(() => this.context.publish(JSON.stringify({ topic, type, qos }))),
      codec,
    )
  }

  /** @internal */
  synchronize(options: string, onReady: () => void): Ros2Synchronizer {
    return engine(() => this.context.synchronize(options, onReady))
  }

  /** What is in the domain now. */
  graph(): Graph {
    return JSON.parse(engine(() => this.context.graph()))
  }

  /** Leaves the domain when its publishers and subscriptions are closed, too. */
  async close(): Promise<void> {
    await this.context.close()
  }
}

/** Hears a topic until it is closed. */
export class Subscription {
  private subscription: Ros2Subscription | undefined
  private draining = false

  /** @internal */
  constructor(
    private readonly codec: Codec,
    private readonly hear: (received: Received) => void,
  ) {}

  /** @internal */
  start(subscription: Ros2Subscription): void {
    this.subscription = subscription
    this.drain()
  }

  /** How many messages came, and how many of them gave way to newer ones. */
  counts(): { received: number; dropped: number } {
    return this.subscription?.counts() ?? { received: 0, dropped: 0 }
  }

  /** The publishers that offer less than is wanted. */
  refused(): Refused {
    const { subscription } = this
    if (!subscription) return { count: 0, policy: null }
    const { count, policy } = engine(() => subscription.refused())
    return { count, policy: policy ?? null }
  }

  async close(): Promise<void> {
    const subscription = this.subscription
    this.subscription = undefined
    await subscription?.close()
  }

  /** @internal */
  drain(): void {
    if (this.draining || !this.subscription) return
    const { samples, more } = this.subscription.take(TURN)
    for (const sample of samples) this.hear(new Heard(this.codec, sample))
    if (!more) return
    // Others get their turn before the rest.
    this.draining = true
    setImmediate(() => {
      this.draining = false
      this.drain()
    })
  }
}

/** @internal */
export class Heard implements Received {
  readonly cdr: Buffer
  readonly receivedNs: bigint
  readonly sourceNs: bigint
  private readonly gid: Buffer
  private decoded: Record<string, unknown> | undefined

  constructor(
    private readonly codec: Codec,
    sample: Ros2Sample,
  ) {
    this.cdr = sample.cdr
    this.receivedNs = sample.receivedNs
    this.sourceNs = sample.sourceNs
    this.gid = sample.publisher
  }

  get publisher(): string {
    return this.gid.toString('hex')
  }

  get message(): Record<string, unknown> {
    this.decoded ??= this.codec.decode(this.cdr)
    return this.decoded
  }
}

/** Speaks on a topic until it is closed. */
export class Publisher {
  /** @internal */
  constructor(
    private readonly publisher: Ros2Publisher,
    private readonly codec: Codec,
  ) {}

  /**
   * Publishes an object, or a Buffer of raw CDR with its header. Never waits: where all is kept and subscriptions do
   * not keep up it fails with `BUFFER_FULL`, and the same call may succeed later.
   */
  send(message: unknown): void {
    const cdr = Buffer.isBuffer(message) ? message : this.codec.encode(message)
    engine(() => this.publisher.send(cdr))
  }

  /** How many subscriptions hear it. */
  matched(): number {
    return engine(() => this.publisher.matched())
  }

  /** The subscriptions that want more than is offered. */
  refused(): Refused {
    const { count, policy } = engine(() => this.publisher.refused())
    return { count, policy: policy ?? null }
  }

  async close(): Promise<void> {
    await this.publisher.close()
  }
}

async function settled<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw toEngineError(error)
  }
}
