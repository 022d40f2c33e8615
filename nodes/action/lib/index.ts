export { createDriver, type DriverConfigs, type DriverKind } from './create'
export { type DeliveryOptions, DirectSender, type Seams } from './delivery'
export {
  ActionDriver,
  type Delivery,
  type DeliveryKind,
  DriverError,
  type Fault,
  type HistoryStats,
  type OutboxStatus,
  type Receipt,
  type Record,
  type Sender,
  type SenderStatus,
  type Settled,
  type Transport,
} from './driver'
export { Ring, type Stats, statsOf } from './history'
export type { HttpAuth, HttpConfig } from './http'
export type { KafkaBroker, KafkaConfig, KafkaSasl } from './kafka'
export type { TlsOptions } from './network'
export { type OutboxOptions, OutboxSender } from './outbox'
export {
  Python,
  type PythonAbout,
  type PythonListener,
  type PythonOptions,
  type PythonProblem,
  type PythonRole,
  type PythonStatus,
} from './python'
export type { PythonConfig } from './python-transport'
export type { RedisConfig, RedisHost } from './redis'
export { type AlertType, alertTypes, type Rule, type RuleKind, ruleKinds, type Severity, severities } from './rules'
export {
  type Alert,
  type Clear,
  type HistoryView,
  type Measurement,
  Watch,
  type WatchEvent,
  type WatchOptions,
  type WatchState,
} from './watch'
