/** The options of a `Synchronizer`. */
import { EngineError, quote } from '../../shared/errors'
import { allJson, type MatchingOptions } from '../../shared/options'

export interface SyncOptions extends MatchingOptions {
  /** Topics that a group cannot do without. Default: all. */
  required?: readonly string[]
  /** Promises that the stamps of a topic are at least so far apart; they prove groups earlier. */
  minPeriodMs?: Readonly<Record<string, number>>
}

/** What can be changed while messages flow. */
export type LiveOptions = MatchingOptions

/** The options as the engine reads them. */
export function toJson(topics: readonly string[], options: SyncOptions): string {
  checkShapes(topics, options)
  const { required, minPeriodMs = {}, ...rest } = options
  for (const topic of [...(required ?? []), ...Object.keys(minPeriodMs)]) {
    if (!topics.includes(topic)) {
      throw new EngineError('INVALID_OPTION', `topic ${quote(topic)} is not among the topics ${quote(topics)}`)
    }
  }
  const declared = topics.map((name) => ({
    name,
    required: required?.includes(name) ?? true,
    minPeriodMs: Object.hasOwn(minPeriodMs, name) ? minPeriodMs[name] : null,
  }))
  return allJson({ ...rest, topics: declared })
}

/** What TypeScript would have said; JavaScript and flows have no one who does. */
function checkShapes(topics: unknown, options: unknown): asserts options is SyncOptions {
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
  const isTexts = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string')
  const wrong = (name: string, value: unknown, expected: string) =>
    new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; use ${expected}`)
  if (!isTexts(topics)) throw wrong('topics', topics, 'a list of names')
  if (!isObject(options)) throw wrong('options', options, 'an object')
  const given = options as Record<string, unknown>
  if ('topics' in given) throw wrong('options.topics', given.topics, 'the first argument for topics')
  if (given.required !== undefined && !isTexts(given.required)) {
    throw wrong('required', given.required, 'a list of topics')
  }
  if (given.minPeriodMs !== undefined && !isObject(given.minPeriodMs)) {
    throw wrong('minPeriodMs', given.minPeriodMs, 'an object, such as {camera: 20}')
  }
}
