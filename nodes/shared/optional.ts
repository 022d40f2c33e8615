import { EngineError } from './errors'

/** A package that only one family needs, loaded when it is needed; its absence is said by name. */
export function optional<T>(name: string, purpose: string): T {
  return find(name, purpose, require) as T
}

/** Where such a package lies, for a thread that loads it. */
export function optionalPath(name: string, purpose: string): string {
  return find(name, purpose, require.resolve)
}

function find<T>(name: string, purpose: string, by: (name: string) => T): T {
  try {
    return by(name)
  } catch (cause) {
    throw new EngineError(
      'PACKAGE_MISSING',
      `the package ${name} is not installed, which ${purpose} need; install it: npm install ${name}`,
      { cause },
    )
  }
}
