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

export function allJson(options: object): string {
  return JSON.stringify(options, finite)
}

/** JSON has no NaN: it would become `null`, which means something else. */
function finite(key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new EngineError('INVALID_OPTION', `${key} is ${value}; use a finite number`)
  }
  return value
}
