/** The options of a `Synchronizer`. Defaults and limits are the engine's: native/src/sync/options.rs. */
import { EngineError, quote } from '../../shared/errors'

export interface SyncOptions {
  /** The largest spread of a group, ms; `null`: any. Default 50. */
  windowMs?: number | null
  /** Messages kept per topic, and complete groups kept until they are polled. Default 64, at least 2. */
  bufferSize?: number
  /** `nearest`: groups of smallest spread (default). `oldest`: the oldest messages that fit. */
  match?: 'nearest' | 'oldest'
  /** What gives way when a buffer is full. Default `drop-oldest`. */
  drop?: 'drop-oldest' | 'reject-new'
  /** In message time: a message leaves when the newest stamp is so far ahead of its own. */
  timeoutMs?: number | null
  /** On the wall clock: a complete group leaves after this without proof that it is the best. */
  maxDelayMs?: number | null
  /** Topics that a group cannot do without. Default: all. */
  required?: readonly string[]
  /** Promises that the stamps of a topic are at least so far apart; they prove groups earlier. */
  minPeriodMs?: Readonly<Record<string, number>>
  /** Take the shortest gap seen on a topic for such a promise. Default false. */
  learnPeriods?: boolean
  /** A stamp equal to the one before on its topic: refused (default), or it replaces that message. */
  equalStamps?: 'refuse' | 'replace'
  /** A clock that goes backwards: start anew with the new clock (default), or refuse its messages. */
  onClockJump?: 'reset' | 'refuse'
  /** How far a stamp must fall behind to count as such at once. Default 1000. */
  clockJumpMs?: number
  /** Time without a group, while messages arrive, that counts as a stall; `null`: never. Default 10 000. */
  stallMs?: number | null
}

/** What can be changed while messages flow. */
export type LiveOptions = Omit<SyncOptions, 'required' | 'minPeriodMs'>

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

export function allJson(options: object): string {
  return JSON.stringify(options, finite)
}

/** JSON has no bigint and no NaN: that would become `null`, which means something else. */
function finite(key: string, value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new EngineError('INVALID_OPTION', `${key} is ${quote(value)}; use a finite number`)
  }
  return value
}
