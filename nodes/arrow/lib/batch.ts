import { types } from 'node:util'
import type { ArrowBatch } from '#native'
import { EngineError, quote } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { checkOptions, type Known } from '../../shared/options'
import { Turns } from '../../shared/turns'
import { fieldByField, isForeign, writtenByItself } from './foreign'
import { Packer, type Row, type RowError, recycle, rowError } from './packer'
import { converters, type RowOptions } from './reading'
import { asBuffer, called, type Declared, Schema } from './schema'
import { slices, turn } from './slices'

/** What is done with rows. */
export interface FromRowsOptions {
  /** Without one it is inferred from the rows. */
  schema?: Declared | Schema
  /** What becomes of columns that the schema does not have. Default `error`. */
  unknown?: 'error' | 'ignore'
}

/** Rows that became a batch, and those that did not. */
export interface Converted {
  batch: Batch
  rejected: RowError[]
}

export interface FromIPCOptions {
  /** What it may unpack to; `Infinity`: anything. Default 1 GiB. Never less than its own size. */
  maxBytes?: number
  /** Copies the bytes first. Default: below 1 MiB. Else the batch keeps them, and they must not change any more. */
  copy?: boolean
}

export interface ToIPCOptions {
  /** Default `stream`. */
  form?: 'stream' | 'file'
  /** Default `none`. */
  compression?: 'none' | 'lz4' | 'zstd'
}

/** Whatever is a batch, or can become one. */
export type BatchLike = Batch | Uint8Array | readonly Row[] | object

const UNKNOWN: Known<Pick<FromRowsOptions, 'unknown'>> = { unknown: ['error', 'ignore'] }
/** @internal */
export const FROM_ROWS: Known<FromRowsOptions> = { schema: 'any', ...UNKNOWN }
const FROM_IPC: Known<FromIPCOptions> = { maxBytes: 'any', copy: 'any' }
const TO_IPC: Known<ToIPCOptions> = { form: ['stream', 'file'], compression: ['none', 'lz4', 'zstd'] }
const COPY_BELOW = 1 << 20
const MAX_BYTES = 2 ** 30
/** A piece of text that is parsed in one go. */
const PIECE_BYTES = 1 << 16

/** Rows of one schema, in Arrow's form. It never changes. */
export class Batch {
  private known: Schema | undefined

  /** Behind a function, which stays what it is where Node-RED clones the message: an object of the engine has no clone. */
  private readonly held: () => ArrowBatch

  /** @internal */
  constructor(handle: ArrowBatch) {
    this.held = () => handle
  }

  /** @internal */
  get handle(): ArrowBatch {
    return this.held()
  }

  /**
   * Rows as objects. A row with a value that does not fit exactly is left out and told of: nothing is cut, wrapped or
   * turned to null. Numbers are rounded for `float32` and `float16` only.
   */
  static async fromRows(rows: readonly Row[], options: FromRowsOptions = {}): Promise<Converted> {
    checkOptions('Batch.fromRows', options, FROM_ROWS)
    if (!Array.isArray(rows)) throw new EngineError('INVALID_INPUT', `${quote(rows)} is no list of rows; give a list`)
    const schema = options.schema ? Schema.of(options.schema) : await Schema.infer(rows)
    const ignore = options.unknown === 'ignore'
    const { ArrowBatch } = native()
    const packer = new Packer(schema.names, ignore)
    const packing: Promise<{ batch: ArrowBatch; errors: { row: number; column: string; reason: number }[] }>[] = []
    const starts: number[] = []
    for await (const { first, packed } of slices(packer, rows, 'row')) {
      const slice = ArrowBatch.pack(schema.handle, packed.values, packed.text, packed.rows, ignore)
      // Another one may fail first.
      slice.then(
        () => recycle(packed),
        () => {},
      )
      packing.push(slice)
      starts.push(first)
    }
    const done = await called(Promise.all(packing))
    const rejected = done.flatMap(({ errors }, place) =>
      errors.map(({ row, column, reason }) => {
        const number = row + (starts[place] as number)
        return rowError(number, column, reason, rows[number], schema)
      }),
    )
    const batches = done.map(({ batch }) => batch)
    return { batch: new Batch(engine(() => ArrowBatch.join(schema.handle, batches))), rejected }
  }

  /** An IPC stream or file, from anywhere: it is checked. Throws `INVALID_INPUT`, or `TOO_LARGE`. */
  static async fromIPC(bytes: Uint8Array, options: FromIPCOptions = {}): Promise<Batch> {
    checkOptions('Batch.fromIPC', options, FROM_IPC)
    const buffer = asBuffer(bytes)
    const isSmall = buffer.length < COPY_BELOW
    const { maxBytes = MAX_BYTES, copy = isSmall } = options
    if (!(typeof maxBytes === 'number' && maxBytes >= 0)) {
      throw new EngineError('INVALID_OPTION', `maxBytes is ${quote(maxBytes)}; use a number, not below 0`)
    }
    // The engine has no infinity.
    const limit = Math.min(Math.ceil(maxBytes), Number.MAX_SAFE_INTEGER)
    // JavaScript knows of the memory of its own copies, and frees it in time; a large one would hold its thread.
    const own = copy && isSmall ? Buffer.from(buffer) : buffer
    return new Batch(await called(native().ArrowBatch.fromIpc(own, Boolean(copy) && !isSmall, limit)))
  }

  /** What is a batch, IPC bytes, rows, or a Table or RecordBatch of `apache-arrow`; rows that do not fit are an error. */
  static async from(source: BatchLike, options: FromRowsOptions = {}): Promise<Batch> {
    checkOptions('Batch.from', options, FROM_ROWS)
    if (source instanceof Batch) return source
    if (types.isUint8Array(source)) return Batch.fromIPC(source)
    if (source !== null && typeof source === 'object' && isForeign(source)) {
      const bytes = writtenByItself(source)
      if (bytes) return Batch.fromIPC(bytes)
      const { schema, rows } = fieldByField(source)
      return Batch.from(rows, { schema })
    }
    if (!Array.isArray(source)) {
      throw new EngineError('INVALID_INPUT', `${quote(source)} is no batch; give rows, IPC bytes or an Arrow table`)
    }
    const { batch, rejected } = await Batch.fromRows(source, options)
    const [first] = rejected
    if (first) {
      const others = rejected.length > 1 ? `, and ${rejected.length - 1} more` : ''
      throw new EngineError('CONVERSION', `${first.message}${others}; mend the rows, or change the schema`)
    }
    return batch
  }

  /** Batches of one schema behind each other, without a copy. */
  static join(schema: Schema, batches: readonly Batch[]): Batch {
    const handles = batches.map((batch) => {
      if (batch instanceof Batch) return batch.handle
      throw new EngineError('INVALID_INPUT', `${quote(batch)} is no Batch; make it one by Batch.from`)
    })
    return new Batch(engine(() => native().ArrowBatch.join(schema.handle, handles)))
  }

  get schema(): Schema {
    this.known ??= new Schema(this.handle.schema())
    return this.known
  }

  get numRows(): number {
    return this.handle.numRows
  }

  /** Bytes that it takes in memory. */
  get byteLength(): number {
    return this.handle.byteLength
  }

  /** Some of its rows, without a copy; places are those of `Array.slice`. */
  slice(from = 0, to = this.numRows): Batch {
    const place = (given: number) => Math.min(Math.max(given < 0 ? this.numRows + given : given, 0), this.numRows)
    const begin = place(from)
    return new Batch(this.handle.slice(begin, Math.max(place(to) - begin, 0)))
  }

  async toIPC(options: ToIPCOptions = {}): Promise<Buffer> {
    checkOptions('toIPC', options, TO_IPC)
    const { form = 'stream', compression = 'none' } = options
    return called(this.handle.toIpc(form, compression))
  }

  /** Rows as objects. */
  async toRows(options: RowOptions = {}): Promise<Row[]> {
    const rows: Row[] = []
    for await (const piece of this.rows(options)) rows.push(...piece)
    return rows
  }

  /** Rows as objects, some at a time. */
  async *rows(options: RowOptions = {}): AsyncGenerator<Row[]> {
    const convert = converters(this.schema, options).row
    for await (const piece of this.pieces('rows', true)) {
      const rows = JSON.parse(piece) as Row[]
      if (convert) for (const row of rows) convert(row)
      yield rows
    }
  }

  /** `{column: values}`. */
  async toColumns(options: RowOptions = {}): Promise<Record<string, unknown[]>> {
    const { names } = this.schema
    const convert = converters(this.schema, options).values
    const columns = names.map((): unknown[] => [])
    for await (const piece of this.pieces('values', true)) {
      for (const values of JSON.parse(piece) as unknown[][]) {
        for (let place = 0; place < names.length; place += 1) {
          const change = convert[place]
          const value = values[place]
          columns[place]?.push(change && value !== null ? change(value) : value)
        }
      }
    }
    return Object.fromEntries(names.map((name, place) => [name, columns[place] as unknown[]]))
  }

  /**
   * An object a line. What JSON cannot hold is text: NaN, bytes (base64), decimals, times. 64-bit integers are written
   * digit by digit; not every reader of JSON keeps them.
   */
  async toNDJSON(): Promise<string> {
    let text = ''
    for await (const piece of this.pieces('lines', false)) text += piece
    return text
  }

  /** As a Delta table takes it, for Zerobus; what does not fit is told of. */
  async toDelta(): Promise<{ batch: Batch; rejected: Pick<RowError, 'row' | 'column' | 'value' | 'reason'>[] }> {
    const { batch, errors } = await called(this.handle.toDelta())
    const rejected = errors.map(({ row, column, value, reason }) => {
      const { reason: name } = rowError(row, column, reason, undefined)
      return { row, column, value, reason: name }
    })
    return { batch: new Batch(batch), rejected }
  }

  private async *pieces(layout: 'rows' | 'values' | 'lines', quoteInt64: boolean): AsyncGenerator<string> {
    const options = JSON.stringify({ layout, maxBytes: PIECE_BYTES, quoteInt64 })
    for (let row = 0; row < this.numRows; ) {
      const { text, next } = await called(this.handle.text(row, options))
      yield text.toString()
      row = next
      await turn()
    }
  }
}

/** Collects rows until they are taken as one batch. Rows that do not fit are told of at once. */
export class BatchBuilder {
  readonly schema: Schema
  private parts: Batch[] = []
  private readonly turns = new Turns()

  constructor(
    schema: Declared | Schema,
    private readonly options: Pick<FromRowsOptions, 'unknown'> = {},
  ) {
    checkOptions('a BatchBuilder', options, UNKNOWN)
    this.schema = Schema.of(schema)
  }

  get numRows(): number {
    return this.parts.reduce((sum, part) => sum + part.numRows, 0)
  }

  get byteLength(): number {
    return this.parts.reduce((sum, part) => sum + part.byteLength, 0)
  }

  /** Adds rows in the order of the calls; the places in the errors are those within this call's rows. */
  append(rows: readonly Row[]): Promise<RowError[]> {
    return this.turns.take(async () => {
      const { batch, rejected } = await Batch.fromRows(rows, { ...this.options, schema: this.schema })
      this.parts.push(batch)
      return rejected
    })
  }

  /** All rows that were added; it is empty then. */
  async finish(): Promise<Batch> {
    await this.turns.ended()
    return Batch.join(this.schema, this.parts.splice(0))
  }
}
