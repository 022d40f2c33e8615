export { ActionClient, type ActionGoal, type ActionOptions, type GoalOptions, type GoalResult } from './action-client'
export { ActionServer, type GoalHandler, type GoalRun, type ServeActionOptions } from './action-server'
export { Bag, type BagMessage, type BagProblem, type BagRange, type BagTopic, openBag } from './bag'
export { BagWriter, type BagWriterOptions, type BagWriterStats } from './bag-writer'
export type { TransportChoice, TransportInUse } from './choice'
export { type CallOptions, ServiceClient } from './client'
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
export type { GoalEnd, GoalStatus } from './goals'
export { type ParameterDescription, type ParameterResult, Parameters, type ParameterValue } from './parameters'
export { type Handler, type RequestInfo, type ServeOptions, ServiceServer } from './server'
export { restamped, type Step, stampOf, stampSteps, timeOfNs } from './stamp'
export {
  type Left,
  type SubscriptionOptions,
  Synchronizer,
  type SynchronizerOptions,
  type SynchronizerStats,
} from './synchronizer'
export type { Graph, GraphEndpoint, GraphNode, Qos, Refused, TransportName } from './transport'
export type { WhyNot } from './usable'
