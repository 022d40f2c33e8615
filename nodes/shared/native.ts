/**
 * The only importer of the native binary. It loads when a node first needs it, so that a machine
 * without a fitting binary still starts Node-RED.
 */
import type * as Native from '#native'
import { EngineError, toEngineError } from './errors'

let loaded: typeof Native | EngineError | undefined

/** The binary; throws `NATIVE_MISSING` where it does not load. */
export function native(): typeof Native {
  loaded ??= load()
  if (loaded instanceof EngineError) throw loaded
  return loaded
}

/** The binary where something has needed it already; why it does not load, where it does not. */
export function loadedNative(): typeof Native | EngineError | undefined {
  return loaded
}

function load(): typeof Native | EngineError {
  try {
    return require('#native') as typeof Native
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`
    return new EngineError(
      'NATIVE_MISSING',
      `the native engine does not load on ${platform} (Node.js ${process.versions.node}): ${firstLine(cause)}; ` +
        'install @millrace/node-red again on this machine, or build it from source with `npm run setup`',
      { cause },
    )
  }
}

function firstLine(cause: unknown): string {
  return String(cause instanceof Error ? cause.message : cause).split('\n', 1)[0] ?? ''
}

/** Calls the binary: whatever it throws becomes an `EngineError` with the stack of this call. */
export function engine<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw toEngineError(error)
  }
}

/** The same, for what the binary promises. */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw toEngineError(error)
  }
}
