/** What a `millrace-arrow-rows` node does between its opening and its close. */
import { types } from 'node:util'
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { Turns } from '../shared/turns'
import { flattener } from './flat'
import { Batch, type RowOptions } from './lib'
import type { rowsConfig } from './rows.config'

type RowsHost = Host<(typeof rowsConfig)['fields']>

export class Unpacker {
  private rows = 0
  /** One batch after the other: what comes first leaves first. */
  private readonly turns = new Turns()

  constructor(private readonly host: RowsHost) {
    this.show()
  }

  input(message: Message, reply: Reply): Promise<void> {
    return this.turns.take(() => this.unpack(message, reply))
  }

  async close(): Promise<void> {
    await this.turns.ended()
  }

  private async unpack(message: Message, reply: Reply): Promise<void> {
    const batch = await this.batchOf(message.payload)
    const arrow = { rows: batch.numRows, schema: batch.schema.columns }
    const { output, messages } = this.host.config
    const send = (payload: unknown, more: object = {}) => reply.send({ ...message, ...more, payload, arrow })
    if (output === 'columns') send(await batch.toColumns(this.options))
    else if (messages === 'one') send(await this.whole(batch))
    else {
      let index = 0
      for await (const payload of this.each(batch)) {
        const { _msgid: id } = message
        const parts = { id, index, count: batch.numRows, type: 'array' }
        send(payload, { parts })
        index += 1
      }
    }
    this.rows += batch.numRows
    this.show()
    reply.done()
  }

  private get options(): RowOptions {
    const { output, int64, times } = this.host.config
    return output === 'csv' ? { int64: 'string', times: 'iso', binary: 'base64' } : { int64, times }
  }

  private async batchOf(payload: unknown): Promise<Batch> {
    if (types.isUint8Array(payload)) return Batch.fromIPC(payload, { maxBytes: this.host.config.maxMb * 2 ** 20 })
    // Rows are rows already; a table of another library is none of these.
    if (payload !== null && typeof payload === 'object' && !Array.isArray(payload)) return Batch.from(payload)
    throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', { given: quote(payload) }))
  }

  private async whole(batch: Batch): Promise<unknown> {
    const { output } = this.host.config
    if (output === 'ndjson') return batch.toNDJSON()
    const rows = await batch.toRows(this.options)
    return output === 'csv' ? rows.map(flattener(batch.schema.columns)) : rows
  }

  private async *each(batch: Batch): AsyncGenerator<unknown> {
    const { output } = this.host.config
    if (output === 'ndjson') {
      for (const line of (await batch.toNDJSON()).split('\n')) if (line) yield `${line}\n`
      return
    }
    const flat = output === 'csv' ? flattener(batch.schema.columns) : undefined
    for await (const rows of batch.rows(this.options)) for (const row of rows) yield flat ? flat(row) : row
  }

  private show(): void {
    this.host.status(() => {
      if (this.rows === 0) return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
      return { fill: 'green', shape: 'dot', text: this.host.text('status.rows', { rows: short(this.rows) }) }
    })
  }
}
