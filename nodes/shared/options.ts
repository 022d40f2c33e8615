/** Options of engines. */
import { EngineError, quote } from './errors'

/** How streams are matched. Defaults and limits are the engine's: native/src/sync/options.rs. */
export interface MatchingOptions {
  /** The largest spread of a group, ms; `null`: any. Default 50. */
  windowMs?: number | null
  /** Messages kept per topic, and complete groups kept until they are taken. Default 64, at least 2. */
  bufferSize?: number
  /** `nearest`: groups of smallest spread (default). `oldest`: the oldest messages that fit. */
  match?: 'nearest' | 'oldest'
  /** What gives way when a buffer is full. Default `drop-oldest`. */
  drop?: 'drop-oldest' | 'reject-new'
  /** In message time: a message leaves when the newest stamp is so far ahead of its own. */
  timeoutMs?: number | null
  /** On the wall clock: a complete group leaves after this without proof that it is the best. */
  maxDelayMs?: number | null
  /** Take the shortest gap seen on a topic for a promise that its stamps are at least so far apart. Default false. */
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

/** The options that there are, each with the texts that it may be, or `any` where the engine or its user looks at it. */
export type Known<T> = Readonly<Record<keyof Required<T>, 'any' | readonly string[]>>

/** Throws `INVALID_OPTION` with the name of an option that `of` does not have, or that is none of its texts. */
export function checkOptions<T extends object>(of: string, options: T, known: Known<T>): void {
  checkObject(of, options)
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      const there = Object.keys(known).join(', ')
      throw new EngineError('INVALID_OPTION', `${quote(name)} is no option of ${of}; there are: ${there}`)
    }
    const choices = known[name as keyof T]
    if (value !== undefined && choices !== 'any') checkChoice(name, value, choices)
  }
}

/** What is no object would be no options at all when it is spread. */
export function checkObject(of: string, options: unknown): void {
  if (options !== null && typeof options === 'object' && !Array.isArray(options)) return
  throw new EngineError('INVALID_OPTION', `the options of ${of} are ${quote(options)}; give an object`)
}

export function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; use one of: ${choices.join(', ')}`)
}

/** As the engines read them. */
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
