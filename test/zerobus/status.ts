/** Statuses as the service sends them: a code, a text, and for a schema error its details. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { bytesField, numberField, textField } from './protobuf'

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
export function schemaStatus(causes: SchemaCause[], form = 'Arrow Flight'): Partial<StatusObject> {
  const message = `${form} schema validation failed`
  const entries = { causes: causes.join(), error_code: '8001' }
  const info = Buffer.concat([
    textField(1, 'SCHEMA_VALIDATION_FAILED'),
    textField(2, 'zerobus.databricks.com'),
    ...Object.entries(entries).map(([key, value]) =>
      bytesField(3, Buffer.concat([textField(1, key), textField(2, value)])),
    ),
  ])
  const any = Buffer.concat([textField(1, 'type.googleapis.com/google.rpc.ErrorInfo'), bytesField(2, info)])
  const code = numberField(1, status.INVALID_ARGUMENT)
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', Buffer.concat([code, textField(2, message), bytesField(3, any)]))
  return { code: status.INVALID_ARGUMENT, details: message, metadata }
}
