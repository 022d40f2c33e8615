/** What JSON can hold, and what it cannot: the latter is refused by its path, never lost without a word. */
import { EngineError, quote } from './errors'

/** The JSON text of a value; `INVALID_INPUT` names the path, below `root`, of what JSON cannot hold. */
export function toJson(value: unknown, root = 'value'): string {
  return JSON.stringify(checked(value, root))
}

/** The value itself, where JSON can hold it. */
export function checked<Value>(value: Value, root = 'value'): Value {
  if (!isPlain(value, 0)) check(value, root, [])
  return value
}

/** Whether a JSON text may have half of a character, as a cut through one leaves: JSON has an escape for it that begins so. */
export function mayHaveHalves(text: string): boolean {
  return text.includes('\\ud')
}

/** Refuses halves of characters by their path. The engine keeps texts as UTF-8, which cannot hold them. */
export function refuseHalves(value: unknown, path = 'value'): void {
  if (typeof value === 'string' && !value.isWellFormed()) {
    const text = `${path} has half of a character, which UTF-8 cannot hold; cut texts between characters`
    throw new EngineError('INVALID_INPUT', text)
  }
  if (value === null || typeof value !== 'object') return
  for (const [key, item] of Object.entries(value)) {
    refuseHalves(key, `a name in ${path}`)
    refuseHalves(item, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`)
  }
}

/** So deep a value is looked at without its path. */
const PLAIN_DEPTH = 32
/** The engine reads 128 levels, with those around the value. */
export const MOST_DEPTH = 100

/** Whether nothing has to be looked at more closely, which is so of almost all and costs a tenth. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth === PLAIN_DEPTH) return false
  if (Array.isArray(value)) {
    // `every` would not look at holes.
    for (let index = 0; index < value.length; index += 1) if (!isPlain(value[index], depth + 1)) return false
    return true
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  for (const item of Object.values(value)) if (item !== undefined && !isPlain(item, depth + 1)) return false
  return true
}

function check(value: unknown, path: string, above: unknown[]): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (Number.isFinite(value)) return
      return refuse(path, quote(value))
    case 'object':
      if (value !== null) checkObject(value, path, above)
      return
    default:
      refuse(path, typeof value === 'undefined' ? 'undefined' : quote(value))
  }
}

function checkObject(value: object, path: string, above: unknown[]): void {
  if (above.includes(value)) refuse(path, 'a part of itself')
  if (above.length > MOST_DEPTH) refuse(path, `nested deeper than ${MOST_DEPTH} levels`)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) refuse(path, 'binary data')
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') {
    const made: unknown = toJSON.call(value, '')
    // An invalid date would be null.
    if (made === null) refuse(path, 'without a form in JSON')
    if (made !== value) return check(made, path, [...above, value])
  }
  const inside = [...above, value]
  if (Array.isArray(value)) {
    for (let place = 0; place < value.length; place += 1) check(value[place], `${path}[${place}]`, inside)
    return
  }
  const kind = Object.prototype.toString.call(value)
  if (kind !== '[object Object]') {
    if (/^\[object (Number|String|Boolean)\]$/.test(kind)) return check(value.valueOf(), path, inside)
    refuse(path, kind.slice('[object '.length, -1))
  }
  for (const [key, item] of Object.entries(value)) {
    // JSON leaves such a property out, and nothing is lost by it.
    if (item !== undefined) check(item, `${path}.${key}`, inside)
  }
}

function refuse(path: string, what: string): never {
  const text = `${path} is ${what}, which JSON cannot hold; leave it out or make a text of it`
  throw new EngineError('INVALID_INPUT', text)
}
