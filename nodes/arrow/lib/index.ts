export {
  Batch,
  BatchBuilder,
  type BatchLike,
  type Converted,
  type FromIPCOptions,
  type FromRowsOptions,
  type ToIPCOptions,
} from './batch'
export { FileWriter, type FileWriterOptions, type WrittenFile } from './files'
export type { Row, RowError, RowReason } from './packer'
export type { RowOptions } from './reading'
export { type Column, type Declared, Schema } from './schema'
export { Spool, type Spooled, type SpoolOptions } from './spool'
export type { ZerobusObservability } from './telemetry'
export type { UnityColumn } from './unity'
export {
  type FailedRow,
  type FailureReport,
  type TransmissionReport,
  TransmissionResult,
  ZerobusClient,
  type ZerobusConfig,
  type ZerobusDebug,
  type ZerobusRetry,
  type ZerobusSpool,
  type ZerobusStats,
} from './zerobus'
