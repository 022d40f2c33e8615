/** What JSON can hold, and what it cannot: the latter is refused by its path, never lost without a word. */
import { EngineError, quote } from '../../shared/errors'

/** The JSON text of a value; `INVALID_INPUT` names the path of what JSON cannot hold. */
export function toJson(value: unknown, name = 'value'): string {
  check(value, name, [])
  return JSON.stringify(value)
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
  if (above.length > 500) refuse(path, 'nested deeper than 500 levels')
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
  throw new EngineError(
    'INVALID_INPUT',
    `${path} is ${what}, which JSON cannot hold; leave it out or make a text of it`,
  )
}
