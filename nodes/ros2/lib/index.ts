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
  type SubscribeOptions,
  Subscription,
} from './context'
export { type DefinitionSources, Definitions } from './definitions'
export { type Step, stampOf, stampSteps } from './stamp'
export {
  type Left,
  type SubscriptionOptions,
  Synchronizer,
  type SynchronizerOptions,
  type SynchronizerStats,
} from './synchronizer'
