/** A value whose failure carries an own `code`: see native/src/bindings/coded.rs. */
export type Coded<T> = T
/** Nanoseconds, within ±2^62. */
export type Stamp = bigint

/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/** An open memory. */
export declare class MemoryDatabase {
  /** `options` is JSON. */
  static open(path: string, options: string): Promise<Coded<MemoryDatabase>>
  /** `requests` is JSON: arrays of operations, each array atomic. */
  write(requests: string): Promise<Coded<MemoryWritten>>
  /**
   * `names` are namespaces and keys by turns, with a zero character between all of them; `at` is JSON. The
   * answer is JSON: for each `[value]`, or 0 where there is none.
   */
  get(names: string, at?: string | undefined | null): Promise<Coded<string>>
  /** Question and answer are JSON. */
  ask(question: string): Promise<Coded<string>>
  /** `wanted` is JSON. `on_change` is called when something may have happened. */
  watch(wanted: string, onChange: Wake): Promise<Coded<MemoryWatcher>>
  /** Running calls end first. */
  close(): Promise<Coded<undefined>>
}

/** A place in the log of changes. */
export declare class MemoryWatcher {
  /** At most `limit` changes, the oldest first; all of one write come together. */
  take(limit: number): Promise<Coded<MemoryEvents>>
  close(): void
}

/** A ROS node in a domain. */
export declare class Ros2Context {
  /** `options` is JSON. `on_change` is called when the graph changes. */
  static open(options: string, onChange: Wake): Promise<Coded<Ros2Context>>
  publish(endpoint: string): Coded<Ros2Publisher>
  /** `on_ready` is called when messages wait where none did. */
  subscribe(endpoint: string, onReady: Wake): Coded<Ros2Subscription>
  /** `on_ready` is called when groups wait where none did. `options` is JSON. */
  synchronize(options: string, onReady: Wake): Coded<Ros2Synchronizer>
  /** What is in the domain, as JSON. */
  graph(): Coded<string>
  close(): Promise<void>
}

/** Publishes on one topic. */
export declare class Ros2Publisher {
  send(cdr: Uint8Array): Coded<undefined>
  /** How many subscriptions hear it. */
  matched(): Coded<number>
  close(): Promise<void>
}

/** Hears one topic. */
export declare class Ros2Subscription {
  /** At most `limit` messages, the oldest first. */
  take(limit: number): Ros2Taken
  counts(): Ros2Counts
  close(): Promise<void>
}

/** Hears several topics and gives what belongs together. */
export declare class Ros2Synchronizer {
  /** At most `limit` groups, the oldest first. */
  take(limit: number): Coded<Ros2Groups>
  /** Milliseconds until `take` is worth a call without being called for; null: never. */
  dueInMs(): Coded<number | undefined | null>
  stats(): Coded<SyncStats>
  /** Groups that nobody took in time. */
  lost(): Coded<number>
  status(): Coded<SyncStatus>
  close(): Promise<void>
}

/**
 * The matcher behind `sync.Synchronizer`. Results that are many go through the exchange, an array that
 * both sides know: a call with an array costs more than the work.
 */
export declare class SyncMatcher {
  /**
   * `options` is JSON: `sync.SyncOptions` with `topics`. `exchange` has room for the dropped and for
   * one group.
   */
  static open(options: string, exchange: Uint32Array): Coded<SyncMatcher>
  /** The options in force, as JSON. */
  options(): Coded<string>
  /** `options` is JSON: all options; the topics have to be the same. */
  setOptions(options: string): Coded<number>
  /** The outcome's number and the flags. */
  push(topic: number, stamp: Stamp, slot: number): number
  /** Puts the next group's slots into the exchange; false when there is none. */
  take(): boolean
  /** Puts the next dropped slots into the exchange; returns the flags. */
  more(): number
  /** Lets time pass; returns the flags. */
  tick(): number
  /** Milliseconds until `tick` is due; null when nothing waits. */
  dueInMs(): number | null
  /** The end of the input; returns the flags. */
  flush(): number
  /** Lets everything go; returns the flags. */
  reset(): number
  /** Indices of the topics that a new stall waits for; null when there is none. */
  stall(): Array<number> | null
  status(): SyncStatus
  stats(): SyncStats
}

/** The version of the engines. */
export declare function engineVersion(): string

/** What went wrong, for programs. Codes are public API: shared by all families, never renamed. */
export type ErrorCode = 'INVALID_OPTION' | 'INVALID_INPUT' | 'INVALID_TIMESTAMP' | 'UNKNOWN_TOPIC' | 'LATE' | 'OUT_OF_ORDER' | 'BUFFER_FULL' | 'CLOCK_JUMP' | 'TRANSPORT' | 'UNKNOWN_TYPE' | 'UNAVAILABLE' | 'PACKAGE_MISSING' | 'STORE_LOCKED' | 'STORE_CORRUPT' | 'STORE_FAILED' | 'DISK_FULL' | 'TOO_LARGE' | 'NOT_FOUND' | 'KEY_NOT_FOUND' | 'CONFLICT' | 'INVALID_WORKFLOW' | 'TIMEOUT' | 'REVOKED' | 'EXPIRED' | 'WORKER_LOST' | 'TASK_FAILED' | 'CLOSED' | 'NATIVE_MISSING' | 'INTERNAL'

/**
 * Fails on purpose with `code`, or with a panic where there is none: the proof that every failure
 * reaches JavaScript as an error and ends nothing.
 */
export declare function fail(code?: ErrorCode | undefined | null): Coded<undefined>

/** Like `fail`, on the shared runtime. */
export declare function failLater(code?: ErrorCode | undefined | null): Promise<Coded<undefined>>

/** What a watcher took, and whether more waits. */
export interface MemoryEvents {
  /** JSON: changes, the oldest first. */
  events: string
  more: boolean
}

/** A request that failed. */
export interface MemoryFailure {
  request: number
  code: ErrorCode
  message: string
}

/** Makes a store of a backup; the answer is JSON. */
export declare function memoryRestoreBackup(backup: string, target: string): Promise<Coded<string>>

/** What came of writes. */
export interface MemoryWritten {
  /** JSON: for each request an array of `[version, previous]`; null for one that failed. */
  outcomes: string
  failures: Array<MemoryFailure>
}

/** How many messages came, and how many of them gave way to newer ones. */
export interface Ros2Counts {
  received: number
  dropped: number
}

/** A group, by topic; null for an optional topic without a message. */
export interface Ros2Group {
  samples: Array<Ros2Sample | undefined | null>
  /** The stamps of the samples; null where there is none. */
  stamps: Array<bigint | undefined | null>
}

/** What a call took, and whether more wait. */
export interface Ros2Groups {
  groups: Array<Ros2Group>
  more: boolean
}

/** A received message. */
export interface Ros2Sample {
  /** With its four-byte header. */
  cdr: Buffer
  receivedNs: bigint
  sourceNs: bigint
  /** The publisher's id, 16 bytes; zeros when it is not known any more. */
  publisher: Buffer
}

/** What a call took, and whether more wait. */
export interface Ros2Taken {
  samples: Array<Ros2Sample>
  more: boolean
}

export declare function syncProtocol(): SyncProtocol

/** The names behind the numbers that cross, the bits of the flags, and the form of the exchange. */
export interface SyncProtocol {
  outcomes: Array<string>
  reasons: Array<string>
  kept: number
  ready: number
  more: number
  droppedShift: number
  /** The exchange begins with `dropped_max` pairs of slot and reason; a group's slots follow. */
  droppedMax: number
  /** The slot of an optional topic that has no message in a group. */
  noSlot: number
}

/** Counters since construction; times in ns. */
export interface SyncStats {
  received: number
  grouped: number
  /** By reason, in the protocol's order. */
  dropped: Array<number>
  groups: number
  buffered: number
  clockJumps: number
  /** The topic (index) whose clock jumped last. */
  lastJump?: number
  meanSkew: number
  maxSkew: number
}

/** Why no group leaves. */
export interface SyncStatus {
  blocked: string
  /** Indices of the topics that it waits for. */
  topics: Array<number>
  infNs?: bigint
  supNs?: bigint
  shortfallNs: number
}
