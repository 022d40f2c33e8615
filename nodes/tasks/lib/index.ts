export { App, type ConnectOptions, connect, type EmbeddedConnection, type Handler, Task } from './app'
export type {
  Attempt,
  Broker,
  Failure,
  Rate,
  Report,
  State,
  Taken,
  Taker,
  TakerEars,
  TakerOptions,
  TaskEvent,
  TaskInfo,
} from './broker'
export { Control, type Filter, type QueueInfo, type Schedule, type WhichDead, type WorkerInfo } from './control'
export type { EmbeddedOptions } from './embedded'
export { Events } from './events'
export type { ManyOptions, RetryPolicy, SendOptions, TaskOptions } from './message'
export { AsyncResult, type GetOptions, GroupResult, isFinal, TaskFailed } from './result'
export type { Credentials, DistributedOptions } from './servers'
export {
  chain,
  chord,
  chunks,
  GroupSignature,
  group,
  map,
  type OnError,
  Signature,
  starmap,
  TaskSignature,
} from './signature'
export { Retry, type RetryOptions, Running, Worker, type WorkerOptions } from './worker'
