export { Bag, type BagMessage, type BagProblem, type BagRange, type BagTopic, openBag } from './bag'
export { BagWriter, type BagWriterOptions, type BagWriterStats } from './bag-writer'
export type { TransportChoice, TransportInUse } from './choice'
export { Codec, type DecodeOptions } from './codec'
export {
  Context,
  type ContextOptions,
  Publisher,
  type Received,
  type SubscribeOptions,
  Subscription,
} from './context'
export { type DefinitionSources, Definitions } from './definitions'
export { Synchronizer, type SynchronizerOptions, type SynchronizerStats } from './synchronizer'
export type { Graph, GraphEndpoint, GraphNode, Qos, TransportName } from './transport'
export type { WhyNot } from './usable'
