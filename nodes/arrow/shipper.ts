/** What a `millrace-arrow-zerobus` node does between its opening and its close. */
import { types } from 'node:util'
import type { NodeStatus } from 'node-red'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { messageLimit } from '../shared/settings'
import { age, short } from '../shared/status'
import { Turns } from '../shared/turns'
import type { Aside, Failed } from './aside'
import { Batch, type Converted, type Row, type TransmissionResult, type ZerobusClient } from './lib'
import { isForeign } from './lib/foreign'
import { among, plain, rowByRow } from './lib/zerobus'
import { type TableHost, type TableUser, tableOf } from './table-host'
import type { zerobusConfig } from './zerobus.config'

type ZerobusHost = Host<(typeof zerobusConfig)['fields']>

/** What a message brings; its rows as they were given. */
interface Parcel extends Converted {
  rows?: readonly Row[]
}

const FAILURES = 1
/** So many messages are in hand at most. */
const MOST = 1000
/** And so many times the bytes that may be on their way. */
const MOST_ROOMS = 2
/** So long a close waits for what is on its way; the frame of the nodes gives it eight seconds. */
const PATIENCE_MS = 6000
/** Characters of a reason in the status. */
const REASON_MAX = 40

export class Shipper implements TableUser {
  private readonly table: TableHost
  private readonly most: number
  private readonly inHand = new Set<Promise<unknown>>()
  private bytes = 0
  /** Batches go in the order of their messages. */
  private readonly turns = new Turns()
  /** Of the last message, where none of its rows arrived. */
  private failure: EngineError | undefined
  private rows = 0
  private failedRows = 0
  private rate = 0
  private looked = { at: performance.now(), rows: 0 }

  constructor(private readonly host: ZerobusHost) {
    this.table = tableOf(host, host.config.table)
    this.most = Math.min(messageLimit(host.RED), MOST)
    this.table.join(this)
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const room = MOST_ROOMS * (this.table.options.maxInFlightBytes as number)
    if (this.inHand.size >= this.most || this.bytes >= room) {
      throw new EngineError('BUFFER_FULL', this.host.text('failure.inHand', { messages: this.inHand.size }))
    }
    const handled = this.handle(message, reply)
    this.inHand.add(handled)
    try {
      await handled
    } finally {
      this.inHand.delete(handled)
      this.show()
    }
  }

  /** What is in hand is given to the client, and may arrive. */
  async close(): Promise<void> {
    await this.turns.ended()
    this.table.leave(this)
    let patience: NodeJS.Timeout | undefined
    const enough = new Promise((resolve) => {
      patience = setTimeout(resolve, PATIENCE_MS)
    })
    await Promise.race([Promise.allSettled(this.inHand), enough])
    clearTimeout(patience)
  }

  private async handle(message: Message, reply: Reply): Promise<void> {
    // Nobody knows what rows take before they are a batch.
    let held = types.isUint8Array(message.payload) ? message.payload.length : 0
    this.bytes += held
    try {
      const { parcel, sent } = await this.turns.take(async () => {
        const parcel = await this.pack(message.payload)
        this.bytes += parcel.batch.byteLength - held
        held = parcel.batch.byteLength
        const client = await this.table.opened().catch(toEngineError)
        // It may fail at any time from now on; who waits for it comes later.
        const sent = client instanceof EngineError ? client : this.sendBy(client, parcel).catch(toEngineError)
        return { parcel, sent: { result: sent } }
      })
      await this.answer(message, reply, parcel, await sent.result)
    } finally {
      this.bytes -= held
    }
  }

  private async sendBy(client: ZerobusClient, parcel: Parcel): Promise<TransmissionResult> {
    const result = await client.sendConverted(parcel)
    if (result.error?.code === 'STORE_FAILED') this.table.broken(client)
    return result
  }

  private async pack(payload: unknown): Promise<Parcel> {
    if (types.isUint8Array(payload)) return { batch: await Batch.fromIPC(payload), rejected: [] }
    if (payload === null || typeof payload !== 'object') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.rows', { given: quote(payload) }))
    }
    if (payload instanceof Batch || isForeign(payload)) return { batch: await Batch.from(payload), rejected: [] }
    const rows = (Array.isArray(payload) ? payload : [payload]) as Row[]
    return { ...(await this.table.toBatch(rows)), rows }
  }

  private async answer(
    message: Message,
    reply: Reply,
    parcel: Parcel,
    result: TransmissionResult | EngineError,
  ): Promise<void> {
    // Nobody hears the outputs any more.
    if (result instanceof EngineError && result.code === 'CLOSED') throw result
    const report = reportOf(parcel, result)
    const { totalRows, successfulCount, failedCount } = report
    this.rows += successfulCount
    this.failedRows += failedCount
    const first = report.failed[0]
    const failure = first && new EngineError(first.code, first.message)
    const arrived = successfulCount > 0 || totalRows === 0
    this.failure = arrived ? undefined : failure
    const arrow = { table: this.table.options.table, ...report }
    const told = failedCount > 0 && this.hearsFailures
    const payload = told ? await lostOf(parcel, report.failed) : undefined
    reply.send([arrived ? { ...message, arrow } : null, told ? { ...message, payload, arrow } : null])
    // Nobody hears what leaves an output when all is closed.
    const heard = told && !report.failed.some(({ code }) => code === 'CLOSED')
    reply.done(heard ? undefined : failure)
  }

  tick(): void {
    const now = performance.now()
    const { at, rows } = this.looked
    this.looked = { at: now, rows: this.rows }
    this.rate = now > at ? ((this.rows - rows) * 1000) / (now - at) : 0
    this.show()
  }

  get hearsFailures(): boolean {
    return this.host.wired(FAILURES)
  }

  /** Their message is complete long since: this one is of its own. */
  refused({ file, rows, readable, failed }: Aside): void {
    const failedCount = count(failed)
    this.failedRows += failedCount
    const { table } = this.table.options
    const counts = { totalRows: failedCount, successfulCount: 0, failedCount }
    const { code, message: reason } = failed[0] ?? { code: 'REFUSED' as const, message: '' }
    const reasons = { failed, failedRows: rowByRow(failed), error: plain(new EngineError(code, reason)) }
    const message = { payload: rows, arrow: { table, success: false, spooled: true, ...counts, ...reasons, file } }
    const { node, text } = this.host
    if (this.hearsFailures) node.send([null, message] as never)
    else {
      const key = readable ? 'failure.refused' : 'failure.unreadable'
      node.error(new EngineError(code, text(key, { rows: failedCount, file, reason })), message as never)
    }
    this.show()
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  /** In one line: what goes wrong, then what goes, and what waits. */
  private status(): NodeStatus {
    const { text } = this.host
    const { stats } = this.table
    const { rows, rate, failedRows } = this
    const failure = this.failure ?? this.table.problem
    const spooled = short(stats?.spooled ?? 0)
    const heldSince = stats?.lastError ? stats.spoolOldestMs : null
    const parts: string[] = []
    if (failure) parts.push(text(`error.${failure.code}`))
    else if (stats?.lastError && heldSince !== null) parts.push(begin(stats.lastError))
    if (rate > 0) parts.push(text('status.rate', { rate: short(rate) }))
    else if (rows > 0) parts.push(text('status.sent', { rows: short(rows) }))
    if (this.inHand.size > 0) parts.push(text('status.flying', { flying: short(this.inHand.size) }))
    if (heldSince !== null) parts.push(text('status.held', { spooled, age: age(Date.now() - heldSince) }))
    else if (stats && stats.spooled > 0) parts.push(text('status.spooled', { spooled }))
    if (failedRows > 0) parts.push(text('status.failed', { failed: short(failedRows) }))
    if (parts.length === 0) return { fill: 'grey', shape: 'ring', text: text('status.waiting') }
    const line = parts.join(' · ')
    if (failure) return { fill: failure.retryable ? 'yellow' : 'red', shape: 'ring', text: line }
    return { fill: heldSince !== null || failedRows > 0 ? 'yellow' : 'green', shape: 'dot', text: line }
  }
}

/** As much of a reason as a line has room for; how often it was tried is none. */
function begin(lastError: string): string {
  const reason = lastError.replace(/^given up after \d+ attempts: /, '')
  return reason.length > REASON_MAX ? `${reason.slice(0, REASON_MAX - 1)}…` : reason
}

function count(failed: readonly Failed[]): number {
  return failed.reduce((sum, { count }) => sum + count, 0)
}

/** What became of the rows of a message, as plain data; places are those in the message. */
function reportOf({ batch, rejected }: Parcel, result: TransmissionResult | EngineError) {
  const isSent = !(result instanceof EngineError)
  const totalRows = batch.numRows + rejected.length
  const all = ({ code, message }: EngineError): Failed[] => {
    const batched = batch.numRows > 0 ? [{ first: 0, count: batch.numRows, code, message }] : []
    return among(batched, totalRows, rejected)
  }
  const failed = isSent ? [...result.failed] : all(result)
  const failedCount = count(failed)
  const first = failed[0]
  const kind = isSent && first?.code === result.error?.code ? result.errorKind : undefined
  return {
    success: failedCount === 0,
    spooled: isSent && result.spooled,
    attempts: isSent ? result.attempts : 0,
    latencyMs: isSent ? result.latencyMs : 0,
    batchSizeBytes: batch.byteLength,
    totalRows,
    successfulCount: totalRows - failedCount,
    failedCount,
    failed,
    failedRows: rowByRow(failed),
    error: first ? plain(new EngineError(first.code, first.message), kind) : null,
  }
}

/** The rows that did not arrive, in the form in which they came. */
async function lostOf({ batch, rows }: Parcel, failed: readonly Failed[]): Promise<unknown> {
  if (rows) return failed.flatMap(({ first, count }) => rows.slice(first, first + count))
  const parts = failed.map(({ first, count }) => batch.slice(first, first + count))
  return Batch.join(batch.schema, parts).toIPC()
}
