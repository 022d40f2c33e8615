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

/** Rows of one schema. */
export declare class ArrowBatch {
  /** Rows as the library packs them. */
  static pack(schema: ArrowSchema, values: Buffer, text: Buffer, rows: number, ignoreUnknown: boolean): Promise<Coded<ArrowPacked>>
  /** An IPC stream or file. The batch may keep the bytes: they must not change any more, unless `copy`. */
  static fromIpc(bytes: Buffer, copy: boolean, maxBytes: number): Promise<Coded<ArrowBatch>>
  /** Batches of one schema behind each other. */
  static join(schema: ArrowSchema, batches: Array<ArrowBatch>): Coded<ArrowBatch>
  get numRows(): number
  get byteLength(): number
  schema(): ArrowSchema
  /** Some of its rows, without a copy. */
  slice(from: number, count: number): ArrowBatch
  /** `form`: `stream` or `file`; `compression`: `none`, `lz4` or `zstd`. */
  toIpc(form: string, compression: string): Promise<Coded<Buffer>>
  /** Rows from a number on, as JSON; `options` is JSON. */
  text(from: number, options: string): Promise<Coded<ArrowText>>
  /** As a Delta table takes it. */
  toDelta(): Promise<Coded<ArrowPacked>>
  /** A Delta batch as Protobuf records. */
  toRecords(): Promise<Coded<ArrowRecords>>
}

/** Writes Arrow files into a folder. */
export declare class ArrowFileWriter {
  /** `options` is JSON: `folder`, `prefix`, `maxBytes`, `maxAgeMs`, `keep`, `compression`. */
  static open(options: string): Promise<Coded<ArrowFileWriter>>
  recovered(): Array<ArrowFile>
  /** Resolves when the operating system has it, to the files that this completed. */
  write(batch: ArrowBatch): Promise<Coded<Array<ArrowFile>>>
  /** Completes the file that is being written, if it is old enough. */
  tick(): Promise<Coded<Array<ArrowFile>>>
  /** Completes the file that is being written. */
  rotate(): Promise<Coded<Array<ArrowFile>>>
  /** Completes the file, and lets others write there. */
  close(): Promise<Coded<Array<ArrowFile>>>
}

/** Columns with their types. */
export declare class ArrowSchema {
  /** `declared` is JSON: a list of columns, or Arrow's form. */
  static declare(declared: string): Coded<ArrowSchema>
  /** From rows that were packed as objects. */
  static infer(values: Buffer, text: Buffer, rows: number): Promise<Coded<ArrowSchema>>
  /** A stream with this schema and no batch. */
  toIpc(): Coded<Buffer>
  /** The list of columns, as JSON. */
  toDeclared(): Coded<string>
  /** In words. */
  describe(): string
  equals(other: ArrowSchema): boolean
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

/** A file that is complete. */
export interface ArrowFile {
  path: string
  rows: number
  bytes: number
}

/** What became of packed rows. */
export interface ArrowPacked {
  batch: ArrowBatch
  errors: Array<ArrowRowError>
}

export declare function arrowProtocol(): ArrowProtocol

/** The names behind the numbers that cross. */
export interface ArrowProtocol {
  tags: Array<string>
  rows: Array<string>
  reasons: Array<string>
}

/** Protobuf records, one a row. */
export interface ArrowRecords {
  /** A serialised `DescriptorProto`. */
  descriptor: Buffer
  records: Array<Buffer>
  errors: Array<ArrowRowError>
}

/** A row that did not become part of a batch. */
export interface ArrowRowError {
  row: number
  column: string
  reason: number
}

/** The schema of an IPC stream or file. */
export declare function arrowSchemaOf(bytes: Buffer): Promise<Coded<ArrowSchema>>

/** Some rows as text. */
export interface ArrowText {
  text: Buffer
  /** The row that the next piece begins with. */
  next: number
}

/** The version of the engines. */
export declare function engineVersion(): string

/** What went wrong, for programs. Codes are public API: shared by all families, never renamed. */
export type ErrorCode = 'INVALID_OPTION' | 'INVALID_INPUT' | 'INVALID_TIMESTAMP' | 'UNKNOWN_TOPIC' | 'LATE' | 'OUT_OF_ORDER' | 'BUFFER_FULL' | 'CLOCK_JUMP' | 'TRANSPORT' | 'UNKNOWN_TYPE' | 'UNAVAILABLE' | 'PACKAGE_MISSING' | 'STORE_LOCKED' | 'STORE_CORRUPT' | 'STORE_FAILED' | 'DISK_FULL' | 'TOO_LARGE' | 'CONVERSION' | 'CLOSED' | 'NATIVE_MISSING' | 'INTERNAL'

/**
 * Fails on purpose with `code`, or with a panic where there is none: the proof that every failure
 * reaches JavaScript as an error and ends nothing.
 */
export declare function fail(code?: ErrorCode | undefined | null): Coded<undefined>

/** Like `fail`, on the shared runtime. */
export declare function failLater(code?: ErrorCode | undefined | null): Promise<Coded<undefined>>

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
