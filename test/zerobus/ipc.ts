/** What the server needs to know of Arrow's IPC messages. */
import { tableFromIPC } from 'apache-arrow'

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
export function toRows(messages: IpcMessage[]): Record<string, unknown>[] {
  return tableFromIPC(toStream(messages))
    .toArray()
    .map((row) => ({ ...row.toJSON() }))
}

/** Names and types of the columns of a schema message. */
export function columnsOf(schema: IpcMessage): { name: string; type: string; nullable: boolean }[] {
  const { fields } = tableFromIPC(toStream([schema])).schema
  return fields.map(({ name, type, nullable }) => ({ name, type: String(type), nullable }))
}
