import { engine } from '../../shared/native'
import { ActionClient, type ActionOptions } from './action-client'
import { ActionServer, type GoalHandler, type ServeActionOptions } from './action-server'
import { openTransport, type TransportChoice, type TransportInUse } from './choice'
import { type CallOptions, ServiceClient } from './client'
import { Codec, type DecodeOptions } from './codec'
import { type DefinitionSources, Definitions } from './definitions'
import { absolute, longType } from './names'
import { Parameters } from './parameters'
import { type Handler, type ServeOptions, ServiceServer } from './server'
import type {
  Graph,
  Inlet,
  JoinOptions,
  Matcher,
  Outlet,
  Qos,
  Refused,
  Sample,
  SynchronizeOptions,
  Transport,
} from './transport'

export interface ContextOptions extends DefinitionSources, JoinOptions {
  /** Default `automatic`: `rclnodejs` where a ROS 2 is sourced and the package is truly built, else `native`. */
  transport?: TransportChoice
}

export interface SubscribeOptions extends DecodeOptions {
  qos?: Qos
  /** So many messages wait at most for the flow; then the oldest gives way. Default 1000. */
  maxSamples?: number
  /** So many bytes wait at most. Default 64 MB. */
  maxBytes?: number
  /** Messages stay raw: their type needs no definition, and is looked for only with the first that is decoded. */
  raw?: boolean
}

/** A received message. */
export interface Received {
  /** Raw, with its header. */
  cdr: Buffer
  /** When it came, ns since the epoch. */
  receivedNs: bigint
  /** When it was published, by the publisher's clock; where the transport tells. */
  sourceNs: bigint | undefined
  /** The publisher's id, in hexadecimal; where the transport tells. */
  publisher: string | undefined
  /** The publisher's number of it, from 1 on: what is skipped is lost. Where the transport tells. */
  sequence: number | undefined
  /** The message itself, decoded when it is first asked for. */
  readonly message: Record<string, unknown>
}

/** So many messages are handed on in one turn of the event loop. */
const TURN = 64
/** So many clients of `call` are kept for the next one. */
const CLIENTS_MAX = 64

/** A ROS node in a domain: hears, speaks and sees. */
export class Context {
  /** Of `call`, the longest unused first. */
  private readonly clients = new Map<string, ServiceClient>()

  private constructor(
    private readonly link: Transport,
    readonly definitions: Definitions,
    /** What carries the messages, and why another transport that was looked at does not. */
    readonly transport: TransportInUse,
    private readonly namespace: string,
  ) {}

  /**
   * `onGraph` is called when something in the domain came, went or changed, and when an own publisher or subscription
   * found another one, lost one, or was refused by one.
   */
  static async open(options: ContextOptions = {}, onGraph: () => void = () => {}): Promise<Context> {
    const { distribution, messages, folders, transport: choice = 'automatic', ...rest } = options
    const sources = Object.entries({ distribution, messages, folders }).filter(([, value]) => value !== undefined)
    const definitions = new Definitions(Object.fromEntries(sources))
    const { transport, inUse } = await openTransport(choice, rest, onGraph)
    return new Context(transport, definitions, inUse, rest.namespace ?? '/')
  }

  /** Hears a topic: `hear` gets each message, in order. */
  subscribe(
    topic: string,
    type: string,
    hear: (received: Received) => void,
    options: SubscribeOptions = {},
  ): Subscription {
    const { int64, arrays, raw, ...rest } = options
    const definitions = () => this.definitions.resolve(type)
    const codec = new Codec(type, raw ? definitions : definitions(), {
      ...(int64 && { int64 }),
      ...(arrays && { arrays }),
    })
    const subscription = new Subscription(codec, hear)
    subscription.start(engine(() => this.link.subscribe({ topic, type, ...rest }, () => subscription.drain())))
    return subscription
  }

  /** Speaks on a topic. A type that has no definition can be spoken raw. */
  publish(topic: string, type: string, qos: Qos = {}): Publisher {
    const codec = new Codec(type, () => this.definitions.resolve(type))
    return new Publisher(
      engine(() => this.link.publish({ topic, type, qos })),
      codec,
    )
  }

  /** @internal */
  synchronize(options: SynchronizeOptions, onReady: () => void): Matcher {
    return engine(() => this.link.synchronize(options, onReady))
  }

  /** Calls a service; the client is kept for the next call. */
  call(service: string, type: string, request: unknown, options: CallOptions = {}): Promise<Record<string, unknown>> {
    try {
      return this.kept(service, type).call(request, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** A client of a service, for many calls. */
  client(service: string, type: string, options: DecodeOptions = {}): ServiceClient {
    const definitions = this.definitions.resolveService(type)
    const { request, response } = definitions
    const codecs = { request: new Codec(type, request), response: new Codec(type, response, options) }
    return new ServiceClient(service, codecs, (onReady) => this.link.client({ service, type, definitions }, onReady))
  }

  /** Offers a service: what `handler` gives back, or resolves to, is the response. */
  serve(service: string, type: string, handler: Handler, options: ServeOptions = {}): ServiceServer {
    const definitions = this.definitions.resolveService(type)
    const { request, response } = definitions
    const { onError, ...decode } = options
    const codecs = { request: new Codec(type, request, decode), response: new Codec(type, response) }
    const open = (onReady: () => void) => this.link.serve({ service, type, definitions }, onReady)
    return new ServiceServer(service, codecs, handler, open, onError)
  }

  /** A client of an action, such as `/arm/move` of the type `my_msgs/action/Move`. */
  action(name: string, type: string, options: ActionOptions = {}): ActionClient {
    return new ActionClient(this, absolute(name, this.namespace), longType(type, 'action'), options)
  }

  /** Offers an action: what `handler` gives back, or resolves to, is the result of a goal. */
  serveAction(name: string, type: string, handler: GoalHandler, options: ServeActionOptions = {}): ActionServer {
    return new ActionServer(this, absolute(name, this.namespace), longType(type, 'action'), handler, options)
  }

  /** The parameters of a node, by its name such as `/robot/driver`. */
  parameters(node: string): Parameters {
    return new Parameters(this, node)
  }

  /** What is in the domain now. */
  graph(): Graph {
    return engine(() => this.link.graph())
  }

  /** Leaves the domain when its publishers and subscriptions are closed, too. */
  async close(): Promise<void> {
    const clients = [...this.clients.values()]
    this.clients.clear()
    await Promise.all(clients.map((client) => client.close()))
    await this.link.close()
  }

  private kept(service: string, type: string): ServiceClient {
    const key = `${service} ${type}`
    const found = this.clients.get(key)
    const client = found?.isOpen ? found : this.client(service, type)
    this.clients.delete(key)
    this.clients.set(key, client)
    for (const [other, idle] of this.clients) {
      if (this.clients.size <= CLIENTS_MAX) break
      if (idle.pending > 0) continue
      this.clients.delete(other)
      // What cannot be closed is closed with the context.
      idle.close().catch(() => {})
    }
    return client
  }
}

/** Hears a topic until it is closed. */
export class Subscription {
  private inlet: Inlet | undefined
  private draining = false

  /** @internal */
  constructor(
    private readonly codec: Codec,
    private readonly hear: (received: Received) => void,
  ) {}

  /** @internal */
  start(inlet: Inlet): void {
    this.inlet = inlet
    this.drain()
  }

  /** How many messages came, and how many of them gave way to newer ones. */
  counts(): { received: number; dropped: number } {
    return this.inlet?.counts() ?? { received: 0, dropped: 0 }
  }

  /** The publishers that offer less than is wanted. */
  refused(): Refused {
    const { inlet } = this
    return inlet ? refusedOf(inlet) : { count: 0, policy: null }
  }

  async close(): Promise<void> {
    const inlet = this.inlet
    this.inlet = undefined
    await inlet?.close()
  }

  /** @internal */
  drain(): void {
    if (this.draining || !this.inlet) return
    const { samples, more } = this.inlet.take(TURN)
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
  readonly sourceNs: bigint | undefined
  readonly sequence: number | undefined
  private readonly gid: Buffer | undefined
  private decoded: Record<string, unknown> | undefined

  constructor(
    private readonly codec: Codec,
    sample: Sample,
  ) {
    this.cdr = sample.cdr
    this.receivedNs = sample.receivedNs
    this.sourceNs = sample.sourceNs
    this.sequence = sample.sequence
    this.gid = sample.publisher
  }

  get publisher(): string | undefined {
    return this.gid?.toString('hex')
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
    private readonly outlet: Outlet,
    private readonly codec: Codec,
  ) {}

  /**
   * Publishes an object, or a Buffer of raw CDR with its header. Never waits: where all is kept and subscriptions do
   * not keep up it fails with `BUFFER_FULL`, and the same call may succeed later.
   */
  send(message: unknown): void {
    const cdr = Buffer.isBuffer(message) ? message : this.codec.encode(message)
    engine(() => this.outlet.send(cdr))
  }

  /** How many subscriptions hear it. */
  matched(): number {
    return engine(() => this.outlet.matched())
  }

  /** The subscriptions that want more than is offered. */
  refused(): Refused {
    return refusedOf(this.outlet)
  }

  async close(): Promise<void> {
    await this.outlet.close()
  }
}

function refusedOf(end: Inlet | Outlet): Refused {
  const { count, policy } = engine(() => end.refused())
  return { count, policy: policy ?? null }
}
