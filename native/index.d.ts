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
  /** What a crash left, and the opening completed. */
  recovered(): Array<ArrowFile>
  /** What cannot be read to its end, and was kept as it was. */
  damaged(): Array<string>
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

/** An open memory. */
export declare class MemoryDatabase {
  /** `options` is JSON. */
  static open(path: string, options: string): Promise<Coded<MemoryDatabase>>
  /** `requests` is JSON: arrays of operations, each array atomic. Calls that overlap are done in their order. */
  write(requests: string): Promise<Coded<MemoryWritten>>
  /** The same, of long texts: the bytes, which are UTF-8, must not change meanwhile. */
  writeBytes(requests: Buffer): Promise<Coded<MemoryWritten>>
  /** `asked` is JSON: what is kept of each vector. The arrays are only looked at, and must not change meanwhile. */
  embed(asked: string, vectors: Array<Float32Array>): Promise<Coded<MemoryWritten>>
  /**
   * `names` are namespaces and keys by turns, with a zero character between all of them; `at` is JSON. The
   * answer is JSON: for each `[value]`, or 0 where there is none.
   */
  get(names: string, at?: string | undefined | null): Promise<Coded<string>>
  /** Question and answer are JSON. */
  ask(question: string): Promise<Coded<string>>
  /** The same with a vector, which belongs to some of the questions; it is only looked at, and must not change meanwhile. */
  askNear(question: string, vector: Float32Array): Promise<Coded<string>>
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

/** A script and the processes that run it. */
export declare class PythonScript {
  /** `options` is JSON. `on_event` is called when events wait where none did. */
  static open(options: string, onEvent: (() => void)): Coded<PythonScript>
  /** Puts a call into the line: its outcome is an event with the same id. */
  call(id: number, source: string | undefined | null, json: string, parts?: Array<Buffer> | undefined | null): Coded<undefined>
  /** At most `limit` events, the oldest first. */
  take(limit: number): PythonEvents
  /**
   * The socket of a worker's process, which the caller owns, and reads from now on: `hear` is told what comes.
   * Null where there is none that can be given.
   */
  listen(worker: number): PythonChannel | null
  /** What came from there, or nothing at its end; then takes events. */
  hear(worker: number, turn: number, bytes: Uint8Array, limit: number): PythonEvents
  /** The process id of each worker, while it has one. */
  processes(): Array<number | undefined | null>
  /** Lets the waiting calls finish and the script shut down, within a few seconds. */
  close(): Promise<void>
}

/** Calls one service. */
export declare class Ros2Client {
  /** Gives back the call's number, which its reply has, too. */
  call(cdr: Uint8Array): Coded<number>
  /** How many servers are there to answer. */
  servers(): Coded<number>
  /** At most `limit` replies, the oldest first. */
  take(limit: number): Ros2Replies
  close(): Promise<void>
}

/** A ROS node in a domain. */
export declare class Ros2Context {
  /**
   * `options` is JSON. `on_change` is called when the graph changes, and when an own endpoint found another
   * one, lost one, or was refused by one.
   */
  static open(options: string, onChange: Wake): Promise<Coded<Ros2Context>>
  publish(endpoint: string): Coded<Ros2Publisher>
  /** `on_ready` is called when messages wait where none did. */
  subscribe(endpoint: string, onReady: Wake): Coded<Ros2Subscription>
  /** `on_ready` is called when groups wait where none did. `options` is JSON. */
  synchronize(options: string, onReady: Wake): Coded<Ros2Synchronizer>
  /** `on_ready` is called when replies wait where none did. */
  client(service: string, onReady: Wake): Coded<Ros2Client>
  /** `on_ready` is called when requests wait where none did. */
  serve(service: string, onReady: Wake): Coded<Ros2Server>
  /** What is in the domain, as JSON. */
  graph(): Coded<string>
  close(): Promise<void>
}

/** Publishes on one topic. */
export declare class Ros2Publisher {
  send(cdr: Uint8Array): Coded<undefined>
  /** How many subscriptions hear it. */
  matched(): Coded<number>
  /** The subscriptions that want more than is offered. */
  refused(): Coded<Ros2Refused>
  close(): Promise<void>
}

/** Offers one service. */
export declare class Ros2Server {
  /** At most `limit` requests, the oldest first. */
  take(limit: number): Ros2Requests
  /** False when the client cannot hear it: it is not there yet, or not any more. */
  reply(id: Uint8Array, cdr: Uint8Array): Coded<boolean>
  /** How many clients are there that cannot be answered on this platform. */
  deaf(): Coded<number>
  counts(): Ros2Counts
  close(): Promise<void>
}

/** Hears one topic. */
export declare class Ros2Subscription {
  /** At most `limit` messages, the oldest first. */
  take(limit: number): Ros2Taken
  counts(): Ros2Counts
  /** The publishers that offer less than is wanted. */
  refused(): Coded<Ros2Refused>
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
  /** By topic, what left without a group: by reason, in the sync protocol's order, and last what had no stamp. */
  left(): Coded<Array<Array<number>>>
  /** Indices of the topics that a new stall waits for; null when there is none. */
  stall(): Coded<Array<number> | undefined | null>
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

/** An embedded queue. `ticket` is any number of the caller's; the answer carries it. */
export declare class TaskQueue {
  /** `options` is JSON: `tasks.Options`. `on_ready` is called when the outbox stops being empty. */
  static open(path: string, options: string, onReady: Wake): Promise<Coded<TaskQueue>>
  /** What came since the last call; null: nothing. */
  drain(): Buffer | null
  /**
   * Sends messages: each its length (u32) and its JSON. The answer is a list, in order, of what is not
   * simply accepted: `[{index, id}]` for a duplicate, `[{index, code, message}]` for a refused one.
   */
  send(ticket: number, messages: Buffer): Coded<undefined>
  /**
   * Sends messages that have all but little in common, in the lines of `tasks::alike`: all, or none where one is
   * refused. The answer is a list of the duplicates: `[{index, id}]`.
   */
  sendAll(ticket: number, lines: Buffer): Coded<undefined>
  /** Accepts a message at once, where that can be. False: `send` it, which also tells what is wrong. */
  takeIn(message: string): boolean
  /** Sends a workflow: a signature as JSON. The answer is `{id, duplicate}`. */
  sendWorkflow(ticket: number, signature: string): Coded<undefined>
  /** `options` is JSON: `tasks.WorkerOptions`. The answer is the worker's number. */
  openWorker(ticket: number, options: string): Coded<undefined>
  /** It takes no more tasks. */
  drainWorker(ticket: number, worker: number): Coded<undefined>
  /** What it still has goes back to the queue. */
  closeWorker(ticket: number, worker: number): Coded<undefined>
  /**
   * Reports on tasks: each its length (u32), its kind (u8), the token (f64) and a payload. Kinds: 0 started,
   * 1 done (result), 2 failed (error), 3 retry (`{delayMs?, error?}`), 4 progress (JSON), 5 heartbeat,
   * 6 give back, 7 revoked. The answer lists the places of those that came too late.
   */
  report(ticket: number, reports: Buffer): Coded<undefined>
  /** One command as JSON, by its `op`. The answer is the command's. */
  control(ticket: number, command: string): Coded<undefined>
  /** Has the results of these ids told, as soon as they are there. An id that nobody knows is told as such. */
  watch(ids: Array<string>): Coded<undefined>
  unwatch(ids: Array<string>): Coded<undefined>
  /** Begins or ends to tell events. */
  wantEvents(wanted: boolean): Coded<undefined>
  /** Does what waits, gives back what workers hold, and ends. Drain once more after it. */
  close(): Promise<Coded<undefined>>
}

/** The built-in embedder: a table in memory. */
export declare class TextEmbedder {
  /** Reads the table that is part of this binary. */
  static open(): Promise<Coded<TextEmbedder>>
  get dimensions(): number
  /** The vectors of texts, of length 1, one after the other. */
  embed(texts: Array<string>): Promise<Coded<Float32Array>>
  /** Where the pieces of a text end, in bytes of its UTF-8: what lengths in tokens are counted by. */
  ends(text: string): Promise<Coded<Uint32Array>>
  /** A document in chunks; `options` and the answer are JSON. */
  chunks(text: string, options: string): Promise<Coded<string>>
  /** A prompt for a language model; `question` and the answer are JSON. */
  prompt(question: string): Promise<Coded<string>>
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

/** Sends batches to one table. */
export declare class ZerobusClient {
  /** `config` is JSON. */
  static open(config: string): Promise<Coded<ZerobusClient>>
  /**
   * Resolves when the batch arrived, was given up, or is in the spool. Batches go in the order of the calls. `rejected`
   * rows became no part of it.
   */
  send(batch: ArrowBatch, rejected: number): Promise<Coded<ZerobusResult>>
  /** Resolves when nothing is on its way, and the spool is empty. */
  flush(): Promise<Coded<undefined>>
  /** What is on its way has so long to arrive. */
  close(patienceMs: number): Promise<void>
  /** How it stands, as JSON. */
  stats(): Coded<string>
}
export type ZerobusClientHandle = ZerobusClient

/** The effects of a task's outcome, `{result}` or `{error}`, on what follows it, its message's `then`. */
export declare function advanceWorkflow(then: string, outcome: string, rootId: string, parentId: string): Coded<string>

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
  /** What each of them means. */
  words: Array<string>
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
  /** Shortened; none where JavaScript has it. */
  value?: string
}

/** The schema of an IPC stream or file. */
export declare function arrowSchemaOf(bytes: Buffer): Promise<Coded<ArrowSchema>>

/** Some rows as text. */
export interface ArrowText {
  text: Buffer
  /** The row that the next piece begins with. */
  next: number
}

/** The first effects of a prepared workflow. */
export declare function beginWorkflow(signature: string): Coded<string>

/** Checks a command. */
export declare function checkCommand(command: string): Coded<undefined>

/** Checks the options of a worker. */
export declare function checkWorker(options: string): Coded<undefined>

/** The effects of a join whose outcomes are all there: a list in order. */
export declare function completeJoin(join: string, outcomes: string): Coded<string>

/** The places of `k` that fit and do not say the same again; vectors of length 1 lie one after the other. */
export declare function diverse(relevance: Float32Array, vectors: Float32Array, balance: number, k: number): Uint32Array

/** Bytes that the engines hold in memory, without what the C libraries among their parts hold. */
export declare function engineMemory(): number

/** The version of the engines. */
export declare function engineVersion(): string

/** What went wrong, for programs. Codes are public API: shared by all families, never renamed. */
export type ErrorCode = 'INVALID_OPTION' | 'INVALID_INPUT' | 'INVALID_TIMESTAMP' | 'UNKNOWN_TOPIC' | 'LATE' | 'OUT_OF_ORDER' | 'BUFFER_FULL' | 'CLOCK_JUMP' | 'TRANSPORT' | 'TIMEOUT' | 'REFUSED' | 'CIRCUIT_OPEN' | 'UNAUTHORIZED' | 'UNKNOWN_TYPE' | 'UNAVAILABLE' | 'PACKAGE_MISSING' | 'SCRIPT_FAILED' | 'SCRIPT_ENDED' | 'STORE_LOCKED' | 'STORE_CORRUPT' | 'STORE_FAILED' | 'DISK_FULL' | 'TOO_LARGE' | 'NOT_FOUND' | 'KEY_NOT_FOUND' | 'CONFLICT' | 'INVALID_WORKFLOW' | 'REVOKED' | 'EXPIRED' | 'WORKER_LOST' | 'TASK_FAILED' | 'CONVERSION' | 'CLOSED' | 'NATIVE_MISSING' | 'INTERNAL'

/**
 * Fails on purpose with `code`, or with a panic where there is none: the proof that every failure
 * reaches JavaScript as an error and ends nothing.
 */
export declare function fail(code?: ErrorCode | undefined | null): Coded<undefined>

/** Like `fail`, on the shared runtime. */
export declare function failLater(code?: ErrorCode | undefined | null): Promise<Coded<undefined>>

/** Whether a name fits a pattern with `*` and `?`. */
export declare function fitsPattern(pattern: string, name: string): boolean

/** One list from several: by their scores, or by rank with a constant. */
export declare function fuseHits(lists: Array<WeightedHits>, rankConstant?: number | undefined | null): RankedHits

/**
 * What follows a failed attempt of a message's task: `again <ms>`, `failure` or `dead`. `asked_ms` is the wait that the
 * worker asks for, NaN: that of the policy.
 */
export declare function judgeFailure(message: string, failure: string, retries: number, askedMs?: number | undefined | null): Coded<string>

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

/** When a schedule, `{everyMs}` or `{cron, tz}` as JSON, is due next after a time; null: never. */
export declare function nextFiring(schedule: string, afterMs: number): Coded<number | undefined | null>

/** Checks a workflow and gives its parts their ids. For a broker that has its own store: `{signature, tasks}`. */
export declare function prepareWorkflow(signature: string): Coded<string>

/** The socket of a worker's process. */
export interface PythonChannel {
  fd: number
  /** Which process of the worker. */
  turn: number
}

/** Something that happened. */
export interface PythonEvent {
  kind: PythonEventKind
  /** Of the call; or the worker's number; or how many lines. */
  id: number
  /** JSON, a line, or a message. */
  text: string
  /** Then the text is JSON of the value and of their places in it. */
  parts?: Array<Buffer>
  code?: ErrorCode
  /** How long the call ran. */
  tookMs?: number
}

/** What an event tells. */
export type PythonEventKind = 'value' | 'raised' | 'failed' | 'started' | 'startRaised' | 'startFailed' | 'ended' | 'reloaded' | 'reloadRaised' | 'line' | 'errorLine' | 'linesLost'

/** What a call took, and whether more wait. */
export interface PythonEvents {
  events: Array<PythonEvent>
  more: boolean
}

/** What was found, best first. */
export interface RankedHits {
  ids: Uint32Array
  scores: Float32Array
}

/** What a broker with a store of its own has to know of a message, as JSON: `tasks::Head`. Checks it. */
export declare function readMessage(message: string): Coded<string>

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

/** Those at the other end of a topic whose quality does not fit: how many since the beginning, and what the last one lacked. */
export interface Ros2Refused {
  count: number
  policy?: string
}

/** What a call took, and whether more wait. */
export interface Ros2Replies {
  replies: Array<Ros2Reply>
  more: boolean
}

/** The answer to a call. */
export interface Ros2Reply {
  /** The number that the call gave back. */
  call: number
  /** With its four-byte header. */
  cdr: Buffer
}

/** What a client asks for. */
export interface Ros2Request {
  /** For the reply. */
  id: Buffer
  /** With its four-byte header. */
  cdr: Buffer
  receivedNs: bigint
}

/** What a call took, and whether more wait. */
export interface Ros2Requests {
  requests: Array<Ros2Request>
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
  /** The publisher's number of it, from 1 on; absent for what did not come over the network. */
  sequence?: number
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

/** Which states may follow which: JSON, `{state: [state]}`. */
export declare function taskStates(): string

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

/** Rows in a row that did not arrive, for one reason. */
export interface ZerobusFailedRows {
  first: number
  count: number
  code: ErrorCode
  message: string
}

/** Why not all arrived. */
export interface ZerobusFailure {
  code: ErrorCode
  kind: string
  message: string
}

/** What became of a batch. */
export interface ZerobusResult {
  success: boolean
  spooled: boolean
  attempts: number
  latencyMs: number
  batchSizeBytes: number
  totalRows: number
  successfulCount: number
  failedCount: number
  failed: Array<ZerobusFailedRows>
  error?: ZerobusFailure
}

/** Opens a stream for the schema and ends it; null, or why that fails. `config` is JSON. */
export declare function zerobusTry(config: string, schema: ArrowSchema): Promise<Coded<ZerobusFailure | undefined | null>>
