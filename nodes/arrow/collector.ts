/** What a `millrace-arrow-batch` node does between its opening and its close. */
import { join } from 'node:path'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import type { batchConfig } from './batch.config'
import { dataFolder } from './folder'
import { Batch, type Row, type RowError, Schema, Spool } from './lib'
import { Inferred } from './lib/inferred'
import { sizeOfRows } from './size'

type BatchHost = Host<(typeof batchConfig)['fields']>

/** A message whose rows wait, with the way to answer it. */
interface Waiting {
  message: Message
  reply: Reply
  rows: Row[]
}

const BATCHES = 0
const REJECTS = 1
/** So many batches are made one after the other, and more where these are small: who sends faster is told. */
const PENDING_MAX = 4
const PENDING_ROWS = 40_000
const PENDING_BYTES = 32 * 2 ** 20
/** Of the folder with what waited at a close. */
const KEPT = { maxBytes: 2 ** 32, whenFull: 'refuse' } as const

export class Collector {
  private readonly declared: Schema | undefined
  private readonly inferred = new Inferred()
  private waiting: Waiting[] = []
  private rows = 0
  private bytes = 0
  private timer: NodeJS.Timeout | undefined
  /** What is being made. */
  private pending = { batches: 0, rows: 0, bytes: 0 }
  private making: Promise<void>
  private closing = false
  private removed = false
  /** Since the node opened. */
  private made = { batches: 0, rows: 0, rejected: 0 }

  constructor(private readonly host: BatchHost) {
    const { columns } = host.config
    if (columns.length > 0) this.declared = Schema.of(columns)
    this.making = this.emitKept()
    this.show()
  }

  input(message: Message, reply: Reply): void | Promise<void> {
    const given = this.host.RED.util.getMessageProperty(message, this.host.config.rowsFrom)
    // What triggers it brings a time, or a text.
    if (message.flush && (given === null || typeof given !== 'object')) return this.flushFor(reply)
    const rows = this.rowsOf(given)
    if (this.isBusy) throw new EngineError('BUFFER_FULL', this.host.text('failure.busy', this.pending))
    const bytes = sizeOfRows(rows)
    this.waiting.push({ message, reply, rows })
    this.rows += rows.length
    this.bytes += bytes
    this.timer ??= setTimeout(
      this.host.guard(() => this.flush()),
      this.host.config.maxMs,
    )
    const isFull = this.rows >= this.maxRows || this.bytes >= this.host.config.maxKb * 1024
    // What still comes at a close waits for nothing more.
    if (message.flush || isFull || this.closing) this.flush()
  }

  /**
   * What was not made a batch yet is kept on disk, and leaves when the node is there again; or now, if it will not be and
   * somebody hears it.
   */
  async close(removed: boolean): Promise<void> {
    this.flush()
    this.closing = true
    this.removed = removed
    for (let made: unknown; made !== this.making; ) {
      made = this.making
      await made
    }
  }

  private get isBusy(): boolean {
    const { batches, rows, bytes } = this.pending
    return batches >= PENDING_MAX && (rows >= PENDING_ROWS || bytes >= PENDING_BYTES)
  }

  private get maxRows(): number {
    const limit = this.host.RED.settings.nodeMessageBufferMaxLength
    const { maxRows } = this.host.config
    return typeof limit === 'number' && limit > 0 ? Math.min(limit, maxRows) : maxRows
  }

  private rowsOf(given: unknown): Row[] {
    const rows = Array.isArray(given) ? given : [given]
    const isRow = given !== null && typeof given === 'object' && !ArrayBuffer.isView(given)
    if (isRow) return rows
    const params = { property: this.host.config.rowsFrom, given: quote(given) }
    throw new EngineError('INVALID_INPUT', this.host.text('failure.rows', params))
  }

  private async flushFor(reply: Reply): Promise<void> {
    this.flush()
    await this.making
    reply.done()
  }

  /** Makes a batch of what waits; batches leave in the order of their messages. */
  private flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const { waiting: taken, rows, bytes } = this
    if (taken.length === 0) return
    this.waiting = []
    this.rows = 0
    this.bytes = 0
    this.count(1, rows, bytes)
    this.making = this.making
      .then(() => this.make(taken))
      .catch((error) => {
        for (const { reply } of taken) reply.done(error)
      })
      .finally(() => {
        this.count(-1, -rows, -bytes)
        this.show()
      })
  }

  private count(batches: number, rows: number, bytes: number): void {
    const { pending } = this
    this.pending = { batches: pending.batches + batches, rows: pending.rows + rows, bytes: pending.bytes + bytes }
  }

  private async make(taken: Waiting[]): Promise<void> {
    // A hole in a list is a row, too: without it all behind it would be counted as others.
    const rows = taken.flatMap((one) => [...one.rows])
    const { unknown, compression } = this.host.config
    const schema = this.declared ?? (await this.inferred.of(rows))
    const { batch, rejected } = await Batch.fromRows(rows, { schema, unknown })
    const payload = batch.numRows > 0 ? await batch.toIPC({ compression }) : undefined
    const errors = this.reject(taken, rejected)
    const failure = payload && (await this.leave(taken[0] as Waiting, payload, batch))
    this.made.rejected += rejected.length
    for (const one of taken) one.reply.done(errors.get(one) ?? failure)
  }

  /** Why a batch could neither be sent nor kept. */
  private async leave(first: Waiting, payload: Buffer, batch: Batch): Promise<EngineError | undefined> {
    if (this.isTime) {
      this.emit(first, payload, batch)
      return undefined
    }
    const failure = await this.keep(payload)
    if (failure && this.isHeard) {
      this.host.node.warn(failure.message)
      this.emit(first, payload, batch)
      return undefined
    }
    const { folder, removed, host } = this
    if (!failure && removed) host.node.warn(host.text('warning.kept', { rows: batch.numRows, folder }))
    return failure
  }

  /** To send: later nobody would, or somebody still hears it. */
  private get isTime(): boolean {
    return !this.closing || (this.removed && this.isHeard)
  }

  /** Nodes that are stopped together with this one hear nothing any more. */
  private get isHeard(): boolean {
    const { wires } = this.host.node as unknown as { wires: string[][] }
    return (wires[BATCHES] ?? []).some((id) => this.host.RED.nodes.getNode(id))
  }

  private emit({ message, reply }: Pick<Waiting, 'message' | 'reply'>, payload: Buffer, batch: Batch): void {
    this.made.batches += 1
    this.made.rows += batch.numRows
    // A message with rejected rows has gone its way with them.
    const sent = {
      ...message,
      payload,
      arrow: { rows: batch.numRows, bytes: payload.length, schema: batch.schema.columns },
    }
    delete (sent as Message).flush
    reply.send([sent, null])
  }

  /** Sends what does not fit to the second output; without one it is the message's error. */
  private reject(taken: Waiting[], rejected: RowError[]): Map<Waiting, EngineError> {
    const errors = new Map<Waiting, EngineError>()
    let [place, first] = [0, 0]
    for (const error of rejected) {
      while (error.row >= first + (taken[place] as Waiting).rows.length) {
        first += (taken[place] as Waiting).rows.length
        place += 1
      }
      const one = taken[place] as Waiting
      const row = error.row - first
      if (this.host.wired(REJECTS)) {
        const { column, value, reason, code, message } = error
        const arrow = { row, column, value, reason, code, message }
        one.reply.send([null, { ...one.message, payload: one.rows[row], arrow }])
      } else if (!errors.has(one)) {
        errors.set(one, new EngineError(error.code, error.message))
      }
    }
    return errors
  }

  private get folder(): string {
    return join(dataFolder(this.host.RED), 'millrace', 'arrow', `batch-${this.host.node.id}`)
  }

  /** Why it is not on disk. */
  private async keep(payload: Buffer): Promise<EngineError | undefined> {
    try {
      const spool = await Spool.open({ folder: this.folder, ...KEPT })
      try {
        await spool.append(payload)
      } finally {
        await spool.close()
      }
      return undefined
    } catch (error) {
      return toEngineError(error)
    }
  }

  /** What an earlier life of the node kept leaves first; what does not leave before this one ends stays for the next. */
  private async emitKept(): Promise<void> {
    // When the flow runs: what is sent before is lost.
    await turn()
    try {
      const { existsSync } = await import('node:fs')
      if (!existsSync(this.folder)) return
      const spool = await Spool.open({ folder: this.folder, ...KEPT })
      try {
        for (let kept = await spool.read(); kept.length > 0; kept = await spool.read()) {
          for (const { seq, data } of kept) {
            const batch = await Batch.fromIPC(data)
            if (!this.isTime) return
            const send = (messages: unknown) => this.host.node.send(messages as never)
            this.emit({ message: {} as Message, reply: { send, done: () => {} } }, data, batch)
            // It is under way to those who hear it, who may be stopped before.
            await turn()
            if (this.closing && !this.isHeard) return
            await spool.ack(seq)
          }
        }
      } finally {
        await spool.close()
      }
    } catch (error) {
      this.host.node.warn(toEngineError(error).message)
    }
    this.show()
  }

  private show(): void {
    this.host.status(() => {
      const { batches, rows, rejected } = this.made
      if (batches + rejected === 0) return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
      const counts = { batches: short(batches), rows: short(rows), rejected: short(rejected) }
      if (rejected === 0) return { fill: 'green', shape: 'dot', text: this.host.text('status.batches', counts) }
      return { fill: 'yellow', shape: 'dot', text: this.host.text('status.rejected', counts) }
    })
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
