/** The engines as a library: what the nodes use, for function nodes, scripts and tests. */

export * as arrow from './arrow/lib'
export * as ros2 from './ros2/lib'
export { EngineError, type ErrorCode } from './shared/errors'
export * as sync from './sync/lib'
