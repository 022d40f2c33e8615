/**
 * What brings messages to ROS 2 and back: the DDS of our own, or the machine's ROS 2. Messages are raw
 * CDR with its four-byte header, both ways; what they mean is not known here.
 */

import type { EngineError } from '../../shared/errors'
import type { Definition } from './definitions'
import type { Step } from './stamp'

export type TransportName = 'native' | 'rclnodejs'

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

export interface GraphNode {
  namespace: string
  name: string
  /** Whether it is the context's own. */
  own: boolean
}

export interface GraphEndpoint {
  topic: string
  type: string
  service: boolean
  node: GraphNode | null
  /** Whether it belongs to the context itself. */
  own: boolean
  /** Null where the transport does not tell. */
  gid: string | null
  qos: Required<Qos>
}

export interface Graph {
  nodes: GraphNode[]
  publishers: GraphEndpoint[]
  subscriptions: GraphEndpoint[]
}

/** Where and as whom to join. */
export interface JoinOptions {
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

/** A received message. Not every transport knows all of it. */
export interface Sample {
  cdr: Buffer
  /** When it came, ns since the epoch. */
  receivedNs: bigint
  /** When it was published, by the publisher's clock. */
  sourceNs?: bigint
  /** The publisher's id. */
  publisher?: Buffer
  /** The publisher's number of it, from 1 on. */
  sequence?: number | undefined
}

/** What a call took, and whether more wait. */
export interface Taken {
  samples: Sample[]
  more: boolean
}

export interface Wanted {
  topic: string
  type: string
  qos?: Qos
  /** So many messages wait at most to be taken; then the oldest gives way. */
  maxSamples?: number
  /** So many bytes wait at most. */
  maxBytes?: number
}

/** Those at the other end of a topic that nothing flows to or from, as the qualities do not fit. */
export interface Refused {
  /** So many since the beginning. */
  count: number
  /** What the last one lacked, such as `reliability` or `data representation`; null where there is no name for it. */
  policy: string | null
}

/** Not every transport knows. */
interface Refusing {
  refused(): { count: number; policy?: string | null | undefined }
}

/** Hears a topic. */
export interface Inlet extends Refusing {
  /** At most `limit` messages, the oldest first. */
  take(limit: number): Taken
  /** How many messages came, and how many of them gave way to newer ones. */
  counts(): { received: number; dropped: number }
  close(): Promise<void>
}

/** Speaks on a topic. */
export interface Outlet extends Refusing {
  send(cdr: Uint8Array): void
  /** How many subscriptions hear it. */
  matched(): number
  close(): Promise<void>
}

export interface SynchronizeOptions {
  subscriptions: Wanted[]
  /** By subscription, the way to the stamp that counts; null: the arrival does. */
  stamps: (readonly Step[] | null)[]
  /** The matcher's options; `topics` has one entry for each subscription, in this order. */
  sync: { topics: { name: string }[]; bufferSize?: number; [option: string]: unknown }
}

/** A group, by subscription; null where an optional one has no message. */
export interface Matched {
  samples: (Sample | null | undefined)[]
  stamps: (bigint | null | undefined)[]
}

export interface MatcherStats {
  clockJumps: number
  /** The topic whose clock jumped last. */
  lastJump?: number | null
  received: number
  grouped: number
  groups: number
  buffered: number
  /** ns. */
  meanSkew: number
  /** ns. */
  maxSkew: number
}

/** Hears several topics and gives what belongs together. */
export interface Matcher {
  /** At most `limit` groups, the oldest first. */
  take(limit: number): { groups: Matched[]; more: boolean }
  /** Milliseconds until `take` is worth a call without being called for; null: never. */
  dueInMs(): number | null | undefined
  stats(): MatcherStats
  /** Groups that gave way to newer ones before they were taken. */
  lost(): number
  /** By subscription, what left without a group: by reason, in the sync protocol's order, and last what had no stamp. */
  left(): number[][]
  /** Subscriptions that a new stall waits for. */
  stall(): number[] | null | undefined
  close(): Promise<void>
}

export interface WantedService {
  service: string
  type: string
  /** What it asks for and what it answers, for a transport that takes no CDR of services. */
  definitions: { request: readonly Definition[]; response: readonly Definition[] }
}

/** The response to a call, or why there will be none. */
export type Reply = { call: number; cdr: Buffer } | { call: number; error: EngineError }

/** Calls a service. */
export interface Caller {
  /** Gives back the call's number, which its reply has, too. */
  call(cdr: Buffer): number
  /** How many servers are there to answer. */
  servers(): number
  /** At most `limit` replies, the oldest first. */
  take(limit: number): { replies: Reply[]; more: boolean }
  /** Nobody waits for the call any more; not every transport keeps something of it. */
  forget?(call: number): void
  close(): Promise<void>
}

/** A request that came; its id, this very Buffer, names it to the answerer. */
export interface Asked {
  id: Buffer
  cdr: Buffer
  receivedNs: bigint
  /** Why it cannot be read; then there is no CDR. */
  error?: EngineError
}

/** Offers a service. */
export interface Answerer {
  /** At most `limit` requests, the oldest first. */
  take(limit: number): { requests: Asked[]; more: boolean }
  /** False when the client cannot hear it: it is not there yet, or not any more. */
  reply(id: Buffer, cdr: Buffer): boolean
  /** How many clients are there that this transport cannot answer. */
  deaf(): number
  /** How many requests came, and how many of them gave way to newer ones. */
  counts(): { received: number; dropped: number }
  close(): Promise<void>
}

/**
 * A ROS node in a domain, as one of the transports makes it. What it throws has a `code`; what is closed
 * throws `CLOSED`, and may be closed again.
 */
export interface Transport {
  readonly name: TransportName
  /** `onReady` is called when messages wait where none did. */
  subscribe(wanted: Wanted, onReady: () => void): Inlet
  publish(wanted: Wanted): Outlet
  /** `onReady` is called when groups wait where none did. */
  synchronize(options: SynchronizeOptions, onReady: () => void): Matcher
  /** `onReady` is called when replies wait where none did. */
  client(wanted: WantedService, onReady: () => void): Caller
  /** `onReady` is called when requests wait where none did. */
  serve(wanted: WantedService, onReady: () => void): Answerer
  /** What is in the domain now. */
  graph(): Graph
  close(): Promise<void>
}
