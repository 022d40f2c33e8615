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

/** A durable queue of records on disk. */
export declare class Spool {
  /** `options` is JSON: `syncMs` (0: an append waits for the disk), `maxBytes`, `whenFull` (`refuse`, `drop-oldest`). */
  static open(path: string, options: string): Promise<Coded<Spool>>
  /**
   * Takes records, all or none; resolves to the first one's number when they are safe. They must not
   * change meanwhile.
   */
  append(records: Array<Buffer>): Promise<Coded<number>>
  /** Records that are not acknowledged, from a number on: as many as fit into `max_bytes`, at least one. */
  read(from: number, maxBytes: number): Promise<Coded<Array<SpoolRecord>>>
  /** These arrived where they should. */
  ack(numbers: Array<number>): Promise<Coded<undefined>>
  stats(): Coded<SpoolStats>
  /** Resolves when it is on the disk and another process may open it. */
  close(): Promise<void>
}
export type SpoolHandle = Spool

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

/** The built-in embedder: a table in memory. */
export declare class TextEmbedder {
  /** Reads the table in a file. */
  static open(path: string): Promise<Coded<TextEmbedder>>
  get dimensions(): number
  /** The vectors of texts, of length 1, one after the other. */
  embed(texts: Array<string>): Promise<Coded<Float32Array>>
  /** Where the pieces of a text end, in bytes of its UTF-8: what lengths in tokens are counted by. */
  ends(text: string): Promise<Coded<Uint32Array>>
}
export type EmbedderHandle = TextEmbedder

/** An index over vectors. */
export declare class VectorIndex {
  /** `options` is JSON: `memory.VectorOptions`. `path` is where it was saved, if it was. */
  static open(options: string, path?: string | undefined | null): Promise<Coded<VectorIndex>>
  /** Whether it came from its file. */
  get loaded(): boolean
  /** Why its file is of no use, where there is one: bring all vectors again. */
  get rebuild(): string | null
  /** The options in force, as JSON. */
  options(): Coded<string>
  /** Takes vectors, lying one after the other, all or none. The arrays must not change meanwhile. */
  put(ids: Uint32Array, vectors: Float32Array, seq: number): Promise<Coded<undefined>>
  /** Forgets vectors; resolves to how many were there. */
  remove(ids: Uint32Array, seq: number): Promise<Coded<number>>
  /** The nearest `k` of each vector, of all or of those with the ids. The arrays must not change meanwhile. */
  search(vectors: Float32Array, k: number, threshold?: number | undefined | null, ids?: Uint32Array | undefined | null): Promise<Coded<VectorHits>>
  /** A vector as it is kept. */
  getVector(id: number): Coded<Float32Array | undefined | null>
  stats(): Coded<VectorStats>
  /** Resolves when the graph has all it should have. */
  settle(): Promise<Coded<undefined>>
  /** Writes it to a file, whole or not at all. */
  save(path: string): Promise<Coded<undefined>>
  /** Resolves when it is let go. What was not saved is gone. */
  close(): Promise<void>
}
export type VectorHandle = VectorIndex

/** An index over the words of texts. */
export declare class WordIndex {
  /** Over groups of three letters, or over whole words. */
  constructor(trigrams: boolean)
  /** Takes texts, each with its id. */
  put(ids: Uint32Array, texts: Array<string>): Promise<Coded<undefined>>
  /** Forgets texts; resolves to how many were there. */
  remove(ids: Uint32Array): Promise<Coded<number>>
  /** The `k` texts that fit best, of all or of those with the ids. */
  search(text: string, k: number, ids?: Uint32Array | undefined | null): Promise<Coded<RankedHits>>
  /** Texts in it. */
  get size(): number
  /** About the memory that it takes. */
  get bytes(): number
}
export type WordHandle = WordIndex

/** The places of `k` that fit and do not say the same again; vectors of length 1 lie one after the other. */
export declare function diverse(relevance: Float32Array, vectors: Float32Array, balance: number, k: number): Uint32Array

/** The version of the engines. */
export declare function engineVersion(): string

/** What went wrong, for programs. Codes are public API: shared by all families, never renamed. */
export type ErrorCode = 'INVALID_OPTION' | 'INVALID_INPUT' | 'INVALID_TIMESTAMP' | 'UNKNOWN_TOPIC' | 'LATE' | 'OUT_OF_ORDER' | 'BUFFER_FULL' | 'CLOCK_JUMP' | 'TRANSPORT' | 'UNKNOWN_TYPE' | 'UNAVAILABLE' | 'PACKAGE_MISSING' | 'STORE_LOCKED' | 'STORE_CORRUPT' | 'STORE_FAILED' | 'DISK_FULL' | 'TOO_LARGE' | 'CLOSED' | 'NATIVE_MISSING' | 'INTERNAL'

/**
 * Fails on purpose with `code`, or with a panic where there is none: the proof that every failure
 * reaches JavaScript as an error and ends nothing.
 */
export declare function fail(code?: ErrorCode | undefined | null): Coded<undefined>

/** Like `fail`, on the shared runtime. */
export declare function failLater(code?: ErrorCode | undefined | null): Promise<Coded<undefined>>

/** One list from several: by their scores, or by rank with a constant. */
export declare function fuseHits(lists: Array<WeightedHits>, rankConstant?: number | undefined | null): RankedHits

/** What was found, best first. */
export interface RankedHits {
  ids: Uint32Array
  scores: Float32Array
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

/** A record that waits. */
export interface SpoolRecord {
  seq: number
  /** When it came, ms since the epoch. */
  atMs: number
  data: Buffer
}

/** How a spool stands. */
export interface SpoolStats {
  /** Records that wait. */
  records: number
  /** Bytes on disk. */
  bytes: number
  /** When the oldest came, ms since the epoch, to a second; null when none waits. */
  oldestMs?: number
  /** Records that gave way since the opening. */
  dropped: number
  /** Records that were damaged on the disk, and are lost. */
  damaged: number
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

/** What was found, one question after the other. */
export interface VectorHits {
  ids: Uint32Array
  scores: Float32Array
  /** So many of them for each question. */
  counts: Uint32Array
  /** Compared one by one, not through the graph. */
  exact: boolean
}

/** How an index stands. */
export interface VectorStats {
  vectors: number
  bytes: number
  linked: number
  toLink: number
  /** A search without a filter compares one by one. */
  exact: boolean
  seq: number
}

/** A list to be brought together with others. */
export interface WeightedHits {
  ids: Uint32Array
  scores: Float32Array
  weight: number
}
