/** Statuses as the service sends them: a code, a text, and for a schema error its details. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'

export type SchemaCause =
  | 'FIELD_NOT_IN_TABLE'
  | 'MISSING_REQUIRED_COLUMN'
  | 'FIELD_OUT_OF_ORDER'
  | 'TYPE_INCOMPATIBLE'
  | 'FIELD_COUNT_MISMATCH'

export function statusOf(code: status, details: string): Partial<StatusObject> {
  return { code, details, metadata: new Metadata() }
}

/** A schema that the table does not take, with its `google.rpc.ErrorInfo`. */
export function schemaStatus(causes: SchemaCause[]): Partial<StatusObject> {
  const message = 'Arrow Flight schema validation failed'
  const entries = { causes: causes.join(), error_code: '8001' }
  const info = Buffer.concat([
    text(1, 'SCHEMA_VALIDATION_FAILED'),
    text(2, 'zerobus.databricks.com'),
    ...Object.entries(entries).map(([key, value]) => bytes(3, Buffer.concat([text(1, key), text(2, value)]))),
  ])
  const any = Buffer.concat([text(1, 'type.googleapis.com/google.rpc.ErrorInfo'), bytes(2, info)])
  const code = Buffer.from([8, status.INVALID_ARGUMENT])
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', Buffer.concat([code, text(2, message), bytes(3, any)]))
  return { code: status.INVALID_ARGUMENT, details: message, metadata }
}

const text = (field: number, value: string) => bytes(field, Buffer.from(value))

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(value.length)]), value])
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}
