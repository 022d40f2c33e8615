/** Times as they are given, and as the engine takes them. */
import { EngineError, quote } from '../../shared/errors'

/** A time (a `Date`, milliseconds, or a text with a date), or the id of a version. */
export type Moment = Date | number | string

const VERSION = /^[0-9a-f]{14}-[0-9a-f]{16}$/

/** No document is of a time before, and of none that no date has. */
const LATEST_MS = 9e12

export function moment(name: string, at: Moment): number | string {
  if (typeof at === 'string' && VERSION.test(at)) return at
  const also = ', or the id of a version'
  const ms = milliseconds(name, at, also)
  if (ms >= 0 && ms < LATEST_MS) return ms
  throw noTime(name, at, also)
}

/** A time as a number; `name` is the option that has it, `also` what else it may be. */
export function milliseconds(name: string, time: Date | number | string, also = ''): number {
  const ms = time instanceof Date ? time.getTime() : typeof time === 'string' ? Date.parse(time) : time
  if (Number.isFinite(ms)) return ms
  throw noTime(name, time, also)
}

function noTime(name: string, time: unknown, also: string): EngineError {
  const what = `give a Date, milliseconds since 1970, or a text with a date${also}`
  return new EngineError('INVALID_INPUT', `${name} is ${quote(time)}; ${what}`)
}
