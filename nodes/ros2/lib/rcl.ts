/** What we use of the package `rclnodejs`, and how it is used. */
import { EngineError, quote } from '../../shared/errors'
import { longType, TOPIC } from './names'
import type { GraphNode } from './transport'
import { hasMessage } from './usable'

export interface Rcl {
  Context: new (domain?: bigint) => RclContext
  Node: new (
    name: string,
    namespace: string,
    context: RclContext,
    options: object,
    args: string[],
    useGlobalArguments: boolean,
  ) => RclNode
  NodeOptions: new () => object
  QoS: new (history: number, depth: number, reliability: number, durability: number, liveliness: number) => object
  init(context: RclContext, args: string[]): Promise<void>
  removeSignalHandlers(): void
}

export interface RclContext {
  tryShutdown(): void
}

export interface RclNode {
  spin(timeoutMs: number): void
  createSubscription(type: string, topic: string, options: object, hear: (cdr: Buffer) => void): object
  createPublisher(type: string, topic: string, options: object): RclPublisher
  createClient(type: string, service: string, options: object): RclClient
  createService(type: string, service: string, options: object, answer: (request: Fields, way: RclWay) => void): object
  destroySubscription(subscription: object): void
  destroyPublisher(publisher: object): void
  destroyClient(client: object): void
  destroyService(service: object): void
  resolveTopicName(topic: string): string
  name(): string
  namespace(): string
  getNodeNamesAndNamespaces(): Omit<GraphNode, 'own'>[]
  getTopicNamesAndTypes(): Named[]
  getPublishersInfoByTopic(topic: string): RclEndpoint[]
  getSubscriptionsInfoByTopic(topic: string): RclEndpoint[]
  getServiceNamesAndTypesByNode(name: string, namespace: string): Named[]
  getClientNamesAndTypesByNode(name: string, namespace: string): Named[]
  countPublishers(topic: string): number
  countSubscribers(topic: string): number
}

export interface RclPublisher {
  publish(cdr: Buffer): void
  readonly subscriptionCount: number
}

export type Fields = Record<string, unknown>

export interface RclClient {
  sendRequestAsync(request: Fields, options: { signal: AbortSignal }): Promise<Fields>
  isServiceServerAvailable(): boolean
}

/** The way back to who asked. */
export interface RclWay {
  send(response: Fields): void
}

export interface Named {
  name: string
  types: string[]
}

export interface RclTime {
  seconds: number | bigint
  nanoseconds: number | bigint
}

export interface RclEndpoint {
  node_name: string
  node_namespace: string
  topic_type: string
  endpoint_gid: number[]
  qos_profile: {
    depth: number
    history: number
    reliability: number
    durability: number
    liveliness: number
    deadline: RclTime
    lifespan: RclTime
    liveliness_lease_duration: RclTime
  }
}

/** The long form of a type that there is JavaScript of. `name`: of the topic or service. */
export function typeOf(name: string, type: string, kind: 'msg' | 'srv' = 'msg'): string {
  if (!TOPIC.test(name)) {
    const what = kind === 'msg' ? 'topic; write it like /robot/odom' : 'service; write it like /robot/reset'
    throw new EngineError('INVALID_OPTION', `${quote(name)} is no name of a ${what}`)
  }
  const long = longType(type, kind)
  if (hasMessage(long)) return long
  throw new EngineError(
    'UNKNOWN_TYPE',
    `rclnodejs does not have ${quote(type)}; source the workspace that has it and run \`npx generate-ros-messages\` ` +
      'where rclnodejs is installed, or choose the native transport',
  )
}

/** Calls later, outside of ROS 2's own code, and once for many calls. */
export function soon(call: () => void): () => void {
  let due = false
  return () => {
    if (due) return
    due = true
    setImmediate(() => {
      due = false
      call()
    })
  }
}

export function attempt<T>(what: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw failed(what, cause)
  }
}

export function failed(what: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  const advice = 'see whether its environment is right, or choose the native transport'
  return new EngineError('TRANSPORT', `${what} through ROS 2 failed: ${reason}; ${advice}`, { cause })
}
