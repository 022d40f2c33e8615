/** Times as they are given, and as the engine takes them. */
import { EngineError, quote } from '../../shared/errors'

/** A time (a `Date`, milliseconds, or a text with a date), or the id of a version. */
export type Moment = Date | number | string

const VERSION = /^[0-9a-f]{14}-[0-9a-f]{16}$/

export function moment(at: Moment): number | string {
  if (typeof at === 'string' && VERSION.test(at)) return at
  return milliseconds('the moment', at, ', or the id of a version')
}

/** A time as a number; `name` is the option that has it, `also` what else it may be. */
export function milliseconds(name: string, time: Date | number | string, also = ''): number {
  const ms = time instanceof Date ? time.getTime() : typeof time === 'string' ? Date.parse(time) : time
  if (Number.isFinite(ms)) return ms
  throw new EngineError(
    'INVALID_INPUT',
    `${name} is ${quote(time)}; give a Date, milliseconds, or a text with a date${also}`,
  )
}
