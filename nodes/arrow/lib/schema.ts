import { types } from 'node:util'
import type { ArrowSchema } from '#native'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'
import { joined, type Packed, Packer, type Row, recycle } from './packer'
import { slices } from './slices'
import { columnsOf, type UnityColumn } from './unity'

/** A column as it is declared. */
export interface Column {
  name: string
  /** Such as `int32`, `timestamp(us, UTC)` or `list<struct<x: float64, y: float64!>>`. */
  type: string
  /** Default true. */
  nullable?: boolean
  metadata?: Record<string, string>
}

/** A list of columns, or Arrow's own JSON form. */
export type Declared = readonly Column[] | { fields: readonly object[] }

/** So many rows tell a schema, at most, and so many bytes of them, texts and Buffers aside. */
export const INFER_MAX = 10_000
const INFER_BYTES = 8 << 20

/**
 * Columns with their types.
 *
 * ```ts
 * const schema = arrow.Schema.of([{ name: 'at', type: 'timestamp(ms, UTC)' }, { name: 'value', type: 'float64' }])
 * ```
 */
export class Schema {
  private declared: Column[] | undefined

  /** Behind a function, as that of a batch. */
  private readonly held: () => ArrowSchema

  /** @internal */
  constructor(
    handle: ArrowSchema,
    /** Rows told it. @internal */
    readonly isInferred = false,
  ) {
    this.held = () => handle
  }

  /** @internal */
  get handle(): ArrowSchema {
    return this.held()
  }

  /** Throws `INVALID_OPTION` with the column and what is wrong with it. */
  static of(declared: Declared | Schema): Schema {
    if (declared instanceof Schema) return declared
    const { ArrowSchema } = native()
    if (types.isUint8Array(declared)) {
      throw new EngineError('INVALID_OPTION', 'a schema in IPC form is read by Schema.fromIPC')
    }
    return new Schema(engine(() => ArrowSchema.declare(JSON.stringify(declared) ?? 'null')))
  }

  /** Of a table: its columns as Unity Catalog's API tells them. Throws `INVALID_OPTION` for a type such as `variant`. */
  static ofUnityCatalog(columns: readonly UnityColumn[]): Schema {
    return Schema.of(columnsOf(columns))
  }

  /** The schema of an IPC stream, of a file, or of a schema message alone. */
  static async fromIPC(bytes: Uint8Array): Promise<Schema> {
    return new Schema(await called(native().arrowSchemaOf(asBuffer(bytes))))
  }

  /**
   * From the first rows: 10,000 at most, fewer where they are very large. Whole numbers become `int64`, or `float64` where
   * one has a fraction; texts `utf8`; dates `timestamp(ms, UTC)`; bytes `binary`; lists, objects and Maps what is in them.
   * Of kinds that go into no type together, the first is the column's. All take nulls, and one of nothing else is `null`.
   */
  static async infer(rows: readonly Row[]): Promise<Schema> {
    const packer = new Packer([], true, true)
    const first: Packed[] = []
    let bytes = 0
    for await (const { packed } of slices(packer, rows, 'object', Math.min(rows.length, INFER_MAX))) {
      first.push({ ...packed, values: Buffer.from(packed.values) })
      recycle(packed)
      bytes += packed.values.length + packed.text.length
      if (bytes >= INFER_BYTES) break
    }
    const { values, text, rows: count } = joined(first)
    return new Schema(await called(native().ArrowSchema.infer(values, text, count)), true)
  }

  get columns(): readonly Required<Column>[] {
    this.declared ??= (JSON.parse(engine(() => this.handle.toDeclared())) as Column[]).map((column) => ({
      metadata: {},
      ...column,
      nullable: column.nullable ?? true,
    }))
    return this.declared as Required<Column>[]
  }

  get names(): string[] {
    return this.columns.map(({ name }) => name)
  }

  equals(other: Schema): boolean {
    return this.handle.equals(other.handle)
  }

  /** A stream with this schema and no rows. */
  toIPC(): Buffer {
    return engine(() => this.handle.toIpc())
  }

  toJSON(): readonly Column[] {
    return this.columns
  }

  /** `at: timestamp(ms, UTC), value: float64!`. */
  toString(): string {
    return this.handle.describe()
  }
}

/** Awaits the binary: whatever it rejects with becomes an `EngineError`. */
export async function called<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw toEngineError(error)
  }
}

/** The same bytes. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  // Memory that was handed to another thread has no length left, and is not to be touched.
  if (types.isUint8Array(bytes) && bytes.length === 0) return Buffer.alloc(0)
  if (types.isUint8Array(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  throw new EngineError('INVALID_INPUT', `${quote(bytes)} is no Buffer with Arrow data`)
}
