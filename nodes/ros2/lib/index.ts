export { Codec, type DecodeOptions } from './codec'
export {
  Context,
  type ContextOptions,
  type Graph,
  type GraphEndpoint,
  type GraphNode,
  Publisher,
  type Qos,
  type Received,
  type Refused,
  type SubscribeOptions,
  Subscription,
} from './context'
export { type DefinitionSources, Definitions } from './definitions'
export { Synchronizer, type SynchronizerOptions, type SynchronizerStats } from './synchronizer'
