/** What the server needs to know of Arrow's IPC messages. */
import { type Field as ArrowField, type Data, DataType, type Struct, tableFromIPC } from 'apache-arrow'
import type { Field, Row } from './delta'

const SCHEMA = 1
const RECORD_BATCH = 3

/** What a Flight message carries. */
export interface IpcMessage {
  header: Buffer
  body: Buffer
}

/** The kind of a message, and for a record batch its number of rows: two look-ups in a flatbuffer. */
export function inspect(header: Buffer): { kind: 'schema' | 'batch' | 'other'; rows: number } {
  const message = new FlatTable(header, header.readUInt32LE(0))
  const type = message.field(1)
  const kind = type && header.readUInt8(type)
  const batch = message.field(2)
  if (kind === SCHEMA) return { kind: 'schema', rows: 0 }
  if (kind !== RECORD_BATCH || !batch) return { kind: 'other', rows: 0 }
  const length = new FlatTable(header, batch + header.readUInt32LE(batch)).field(0)
  return { kind: 'batch', rows: length ? Number(header.readBigInt64LE(length)) : 0 }
}

class FlatTable {
  private readonly vtable: number

  constructor(
    private readonly data: Buffer,
    private readonly at: number,
  ) {
    this.vtable = at - data.readInt32LE(at)
  }

  /** Where a field's value lies; 0 where it has none. */
  field(index: number): number {
    const slot = 4 + 2 * index
    if (slot >= this.data.readUInt16LE(this.vtable)) return 0
    const offset = this.data.readUInt16LE(this.vtable + slot)
    return offset && this.at + offset
  }
}

/** Messages as one IPC stream. */
export function toStream(messages: IpcMessage[]): Buffer {
  const parts: Buffer[] = []
  for (const { header, body } of messages) {
    const padding = (8 - (header.length % 8)) % 8
    const prefix = Buffer.alloc(8)
    prefix.writeInt32LE(-1, 0)
    prefix.writeInt32LE(header.length + padding, 4)
    parts.push(prefix, header, Buffer.alloc(padding), body)
  }
  return Buffer.concat([...parts, Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])])
}

/** The rows of messages that begin with their schema. */
export function toRows(messages: IpcMessage[]): Row[] {
  const { batches } = tableFromIPC(toStream(messages))
  return batches.flatMap(({ data }) => Array.from({ length: data.length }, (_, row) => valueAt(data, row) as Row))
}

/** As a row of a table has it. */
function valueAt(data: Data, row: number): unknown {
  if (!data.getValid(row)) return null
  const { type, values, valueOffsets, children } = data
  const [begin, end] = [row, row + 1].map((place) => Number(valueOffsets?.[place])) as [number, number]
  const range = (inner: Data | undefined) =>
    Array.from({ length: end - begin }, (_, place) => inner && valueAt(inner, begin + place))
  if (DataType.isBool(type)) return ((values[row >> 3] >> (row & 7)) & 1) === 1
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return Buffer.from(values.subarray(begin, end)).toString()
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return Buffer.from(values.subarray(begin, end))
  if (DataType.isList(type)) return range(children[0])
  if (DataType.isMap(type)) {
    const pairs = range(children[0]).map((pair) => Object.values(pair as Row) as [unknown, unknown])
    return new Map(pairs)
  }
  if (DataType.isStruct(type)) {
    const pairs = type.children.map(({ name }, place) => [name, valueAt(children[place] as Data, row)])
    return Object.fromEntries(pairs)
  }
  return values[row]
}

/** The columns of a schema message, their types in the words of apache-arrow. */
export function columnsOf(schema: IpcMessage): Field[] {
  return tableFromIPC(toStream([schema])).schema.fields.map(fieldOf)
}

function fieldOf({ name, type, nullable }: ArrowField): Field {
  const of = (type: string, inner: ArrowField[] = []): Field => ({ name, nullable, type, inner: inner.map(fieldOf) })
  // A stream of Zerobus has this name for it.
  if (DataType.isList(type) && type.valueField.name === 'item') return of('ARRAY', [type.valueField])
  if (DataType.isStruct(type)) return of('STRUCT', type.children)
  if (!DataType.isMap(type)) return of(String(type))
  const [entries] = type.children as [ArrowField<Struct>]
  const pair = entries.type.children
  const inner = pair.map((field, place) => ({ ...fieldOf(field), name: place === 0 ? 'key' : 'value' }))
  return { ...of('MAP'), inner }
}
