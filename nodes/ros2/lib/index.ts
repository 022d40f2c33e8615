export { Bag, type BagMessage, type BagProblem, type BagRange, type BagTopic, openBag } from './bag'
export { BagWriter, type BagWriterOptions, type BagWriterStats } from './bag-writer'
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
export { Synchronizer, type SynchronizerOptions, type SynchronizerStats } from './synchronizer'
