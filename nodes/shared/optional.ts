import { EngineError } from './errors'

/** A package that only one family needs, loaded when it is needed; its absence is said by name. */
export function optional<T>(name: string, purpose: string): T {
  try {
    return require(name) as T
  } catch (cause) {
    throw new EngineError(
      'PACKAGE_MISSING',
      `the package ${name} is not installed, which ${purpose} need; install it: npm install ${name}`,
      { cause },
    )
  }
}
