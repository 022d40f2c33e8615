/** The engines as a library: what the nodes use, for function nodes, scripts and tests. */
export { EngineError, type ErrorCode } from './shared/errors'
export * as sync from './sync/lib'
