import type { ErrorCode, ZerobusClient as Handle, ZerobusFailedRows, ZerobusResult } from '#native'
import { EngineError, quote } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { checkOptions } from '../../shared/options'
import { Turns } from '../../shared/turns'
import { Batch, type BatchLike, type Converted, FROM_ROWS, type FromRowsOptions } from './batch'
import { Inferred } from './inferred'
import type { RowError } from './packer'
import { called, type Declared, Schema } from './schema'
import { Telemetry, type ZerobusObservability } from './telemetry'

export interface ZerobusRetry {
  /** So often it is tried in all. Default 5. */
  maxAttempts?: number
  /** The longest pause after the first failure; it doubles with each. Default 100. */
  baseDelayMs?: number
  /** No pause is longer. Default 30 000. */
  maxDelayMs?: number
}

/** Copies of what is sent, for looking at. */
export interface ZerobusDebug {
  /** Arrow files in `<folder>/arrow`. */
  arrow?: boolean
  /** Protobuf records, each behind its length, in `<folder>/protobuf`, with their descriptors. */
  protobuf?: boolean
  folder?: string
  /** A file of this age is complete. Default 5000. */
  flushMs?: number
  /** A file of so many bytes is complete. Default 64 MiB. */
  maxFileBytes?: number
  /** So many complete files stay. Default 10. */
  keep?: number
}

/** Where batches wait on disk until they have arrived. */
export interface ZerobusSpool {
  /**
   * One client at a time has it. What Zerobus refuses is put into `rejected` in it, with the reasons: at most 1000 files and
   * a quarter of `maxBytes`, the oldest go.
   */
  folder: string
  /** 0, the default: `send` waits for the disk. Else what a loss of power can take, ms. */
  syncMs?: number
  /** So much it takes on the disk at most. Default 1 GiB. */
  maxBytes?: number
  /** What `send` does that finds no room: it waits, the oldest go, or it fails. Default `block`. */
  whenFull?: 'block' | 'drop-oldest' | 'refuse'
}

export interface ZerobusConfig {
  /** Of Zerobus: `https://<workspace id>.zerobus.<region>.cloud.databricks.com`. */
  endpoint?: string
  /** `catalog.schema.table`. */
  table: string
  /** Of the workspace: `https://<instance>.cloud.databricks.com`. */
  unityCatalogUrl?: string
  clientId?: string
  clientSecret?: string
  /** Default `flight`. */
  delivery?: 'flight' | 'protobuf' | 'json'
  /** Of Arrow bodies on the way. Default `none`. */
  compression?: 'none' | 'lz4' | 'zstd'
  retry?: ZerobusRetry
  /** A stream without an acknowledgement for so long has failed. Default 60 000. */
  ackTimeoutMs?: number
  /** A stream that is not open after so long has failed. Default 15 000. */
  connectTimeoutMs?: number
  /** So many bytes of rows are in memory, on their way; `send` waits for room. Default 256 MiB. */
  maxInFlightBytes?: number
  /** Certificates (PEM) that are trusted beside the system's, for the endpoint and the workspace. */
  ca?: string
  debug?: ZerobusDebug
  /** Nothing is sent; the copies of `debug` are written. */
  writerDisabled?: boolean
  /** With it `send` is done when the batch is on disk. */
  spool?: ZerobusSpool
  /** Figures and spans for OpenTelemetry; off without it. */
  observability?: ZerobusObservability
}

/** A row that did not arrive. */
export interface FailedRow {
  /** Its place in the batch, or among the rows that were given. */
  row: number
  code: ErrorCode
  message: string
}

/** How a client stands. */
export interface ZerobusStats {
  batches: number
  rows: number
  /** Rows that did not fit, and rows of batches that are given up; those that were set aside are among them. */
  rowsFailed: number
  /** Rows that Zerobus did not take from the spool, and that were put into `rejected` in it. */
  rowsAside: number
  bytes: number
  /** Streams that failed, at opening or later. */
  retries: number
  streams: number
  inFlightBytes: number
  /** Batches in the spool. */
  spooled: number
  spoolBytes: number
  /** When the oldest of them came, ms since the epoch. */
  spoolOldestMs: number | null
  /** Batches that gave way to newer ones in the spool, those that the disk lost, and those that cannot be read. */
  spoolLost: number
  /** Why the last copy of `debug` was not written. */
  copiesError: string | null
  /** The last failure, until rows arrive again. */
  lastError: string | null
  /** Why the collector of `observability` did not take the last figures. */
  telemetryError?: string | null
}

/** A failure as plain data. */
export interface FailureReport {
  code: ErrorCode
  /** More than the code says: `connection`, `schema`, `retry-exhausted`, … */
  kind?: string
  message: string
  retryable: boolean
}

/** What became of a batch, as plain data. */
export type TransmissionReport = Pick<
  TransmissionResult,
  | 'success'
  | 'spooled'
  | 'attempts'
  | 'latencyMs'
  | 'batchSizeBytes'
  | 'totalRows'
  | 'successfulCount'
  | 'failedCount'
  | 'failedRows'
> & {
  /** The first reason. */
  error: FailureReport | null
}

/** The message of an `Error` is not among what JSON shows of it. */
export function plain({ code, message, retryable }: EngineError, kind?: string): FailureReport {
  return { code, ...(kind !== undefined && { kind }), message, retryable }
}

/** Rows that are told as one, each by its own. */
export function rowByRow(failed: readonly ZerobusFailedRows[]): FailedRow[] {
  return failed.flatMap(({ first, count, code, message }) =>
    Array.from({ length: count }, (_, place) => ({ row: first + place, code, message })),
  )
}

/** Failures of a batch, and rows that became no part of it, by their places among all that were given. */
export function among(
  failed: readonly ZerobusFailedRows[],
  total: number,
  rejected: readonly RowError[],
): ZerobusFailedRows[] {
  if (rejected.length === 0) return [...failed]
  const why = new Map<number, Pick<FailedRow, 'code' | 'message'>>(rejected.map((error) => [error.row, error]))
  const kept = Array.from({ length: total }, (_, row) => row).filter((row) => !why.has(row))
  for (const { first, count, code, message } of failed) {
    for (const row of kept.slice(first, first + count)) why.set(row, { code, message })
  }
  const found: ZerobusFailedRows[] = []
  for (const [row, { code, message }] of [...why].sort(([one], [other]) => one - other)) {
    const last = found.at(-1)
    if (last && last.first + last.count === row && last.message === message) last.count += 1
    else found.push({ first: row, count: 1, code, message })
  }
  return found
}

/** What became of a batch, or of rows. */
export class TransmissionResult {
  /** All rows arrived, or are in the spool. */
  readonly success: boolean
  /** They wait in the spool. */
  readonly spooled: boolean
  /** How often rows were handed to a stream. */
  readonly attempts: number
  readonly latencyMs: number
  readonly batchSizeBytes: number
  readonly totalRows: number
  readonly successfulCount: number
  readonly failedCount: number
  /** Why not all arrived: the first reason. */
  readonly error: EngineError | undefined
  /** More than its code says: `connection`, `schema`, `retry-exhausted`, … */
  readonly errorKind: string | undefined
  /** Rows that did not arrive: those in a row that have one reason are told as one. */
  readonly failed: readonly ZerobusFailedRows[]
  /** Of these, those of the batch. */
  private readonly unsent: readonly ZerobusFailedRows[]

  /** @internal */
  constructor(
    /** Without the rows that became no part of it. */
    readonly batch: Batch,
    result: ZerobusResult,
    rejected: readonly RowError[] = [],
  ) {
    const error = result.error ?? (rejected[0] && { ...rejected[0], kind: 'conversion' })
    this.success = result.success && rejected.length === 0
    this.spooled = result.spooled
    this.attempts = result.attempts
    this.latencyMs = result.latencyMs
    this.batchSizeBytes = result.batchSizeBytes
    this.totalRows = result.totalRows + rejected.length
    this.successfulCount = result.successfulCount
    this.failedCount = result.failedCount + rejected.length
    this.unsent = result.failed
    this.failed = among(result.failed, this.totalRows, rejected)
    this.error = error && new EngineError(error.code, error.message)
    this.errorKind = error?.kind
  }

  /** Rows that did not arrive, in order. */
  get failedRows(): FailedRow[] {
    return rowByRow(this.failed)
  }

  /** Places of the rows that arrived, in order. */
  get successfulRows(): number[] {
    return spansBeside(this.failed, this.totalRows).flatMap(([from, to]) =>
      Array.from({ length: to - from }, (_, place) => from + place),
    )
  }

  /** The rows that did not arrive; without those that became no part of a batch. */
  failedBatch(): Batch {
    const parts = this.unsent.map(({ first, count }) => this.batch.slice(first, first + count))
    return Batch.join(this.batch.schema, parts)
  }

  /** The rows that arrived. */
  successfulBatch(): Batch {
    return Batch.join(
      this.batch.schema,
      spansBeside(this.unsent, this.batch.numRows).map(([from, to]) => this.batch.slice(from, to)),
    )
  }

  /** As plain data, without the batch. */
  toJSON(): TransmissionReport {
    const { success, spooled, attempts, latencyMs, batchSizeBytes, totalRows, successfulCount, failedCount } = this
    const { failedRows, errorKind } = this
    const error = this.error ? plain(this.error, errorKind) : null
    const counts = { totalRows, successfulCount, failedCount }
    return { success, spooled, attempts, latencyMs, batchSizeBytes, ...counts, failedRows, error }
  }
}

/** From where to where none has failed. */
function spansBeside(failed: readonly ZerobusFailedRows[], total: number): [number, number][] {
  const spans: [number, number][] = []
  let from = 0
  for (const { first, count } of [...failed, { first: total, count: 0 }]) {
    if (first > from) spans.push([from, first])
    from = first + count
  }
  return spans
}

/** So long what is on its way has to arrive when a client is closed. */
const PATIENCE_MS = 5000
/** A timer of more would end at once. */
const PATIENCE_MAX_MS = 2 ** 31 - 1

/** Sends batches to one table of Databricks. Calls may overlap; batches go in the order of the calls. */
export class ZerobusClient {
  private readonly telemetry: Telemetry | undefined
  /** To hand over to the engine what has become a batch, or is none. */
  private readonly turns = new Turns()
  private readonly sends = new Set<Promise<unknown>>()
  private readonly inferred = new Inferred()
  private closed = false

  private constructor(
    private readonly handle: Handle,
    { observability, table }: ZerobusConfig,
  ) {
    if (observability) this.telemetry = new Telemetry(observability, table, () => this.stats())
  }

  /** Checks the options and opens the spool; throws `INVALID_OPTION` with all that is wrong. It connects when it sends. */
  static async open(options: ZerobusConfig): Promise<ZerobusClient> {
    return new ZerobusClient(await called(available().open(written(options))), options)
  }

  /** Opens a stream for columns like these and ends it, without sending a row. Undefined, or why that fails. */
  static async test(
    options: ZerobusConfig,
    schema: Declared | Schema,
  ): Promise<{ error: EngineError; kind: string } | undefined> {
    available()
    const failure = await called(native().zerobusTry(written(options), Schema.of(schema).handle))
    return failure ? { error: new EngineError(failure.code, failure.message), kind: failure.kind } : undefined
  }

  /**
   * Sends a batch, IPC bytes, an `apache-arrow` table, or rows. Resolves when it arrived, was given up, or is in the spool:
   * what did not arrive is told in the result, and so are rows with a value that does not fit. The first rows that come
   * without a schema tell that of all others without one. Rejects for what is no batch, and after `close`; where that
   * comes when some rows have arrived, the others have failed with `CLOSED`.
   */
  async send(source: BatchLike, options?: FromRowsOptions): Promise<TransmissionResult> {
    return this.sendConverted(this.converted(source, options))
  }

  /** Sends what rows became; those that became no part of the batch have failed. @internal */
  async sendConverted(conversion: Converted | Promise<Converted>): Promise<TransmissionResult> {
    const converted = Promise.resolve(conversion)
    // It may fail before its turn.
    converted.catch(() => {})
    if (this.closed) throw new EngineError('CLOSED', 'the Zerobus client is closed; open it again')
    const given = this.turns.take(async () => {
      const { batch, rejected } = await converted
      const sending = this.handle.send(batch.handle, rejected.length)
      return { batch, rejected, startedMs: Date.now(), sending }
    })
    const sent = given.then(async ({ batch, rejected, startedMs, sending }) => {
      const result = new TransmissionResult(batch, await called(sending), rejected)
      this.telemetry?.record({ ...result, startedMs })
      return result
    })
    this.sends.add(sent)
    return sent.finally(() => this.sends.delete(sent))
  }

  /** Resolves when all that was given has arrived or was given up, and the spool is empty. Rejects with `CLOSED` where it is closed before. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.sends)
    await called(this.handle.flush())
  }

  stats(): ZerobusStats {
    const stats = JSON.parse(engine(() => this.handle.stats())) as ZerobusStats
    return this.telemetry ? { ...stats, telemetryError: this.telemetry.lastError } : stats
  }

  /** Takes nothing more. What is on its way has a few seconds to arrive; what is in the spool stays there. */
  async close(patienceMs = PATIENCE_MS): Promise<void> {
    this.closed = true
    const most = Math.min(patienceMs, PATIENCE_MAX_MS)
    const end = performance.now() + most
    let patience: NodeJS.Timeout | undefined
    const enough = new Promise((resolve) => {
      patience = setTimeout(resolve, most)
    })
    // The engine lets go of what it is still preparing.
    await Promise.race([Promise.allSettled(this.sends), enough])
    clearTimeout(patience)
    await called(this.handle.close(Math.max(0, Math.ceil(end - performance.now()))))
    await this.telemetry?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private async converted(source: BatchLike, options?: FromRowsOptions): Promise<Converted> {
    if (!Array.isArray(source)) return { batch: await Batch.from(source, options), rejected: [] }
    // Before the rows tell a schema, which would stay.
    if (options !== undefined) checkOptions('Batch.fromRows', options, FROM_ROWS)
    return Batch.fromRows(source, { ...options, schema: options?.schema ?? (await this.inferred.of(source)) })
  }
}

/** As JSON. What it does not have is a text in it, which no option takes: so the engine tells of it with all else. */
function written(options: ZerobusConfig): string {
  const strange = (value: unknown) =>
    ['bigint', 'function', 'symbol'].includes(typeof value) || (typeof value === 'number' && !Number.isFinite(value))
  try {
    return JSON.stringify(options, (_, value) => (strange(value) ? quote(value) : value)) ?? 'null'
  } catch (cause) {
    throw new EngineError('INVALID_OPTION', `options cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function available(): typeof Handle {
  const found: typeof Handle | undefined = native().ZerobusClient
  if (!found) throw new EngineError('UNAVAILABLE', 'this build has no Zerobus; build it with feature zerobus')
  return found
}
