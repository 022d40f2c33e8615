import { EngineError } from '../../shared/errors'

/** The value as JSON. What would be lost or changed on the way is refused, with its path below `root`. */
export function toJson(value: unknown, root: string): string {
  if (!isPlain(value, 0)) {
    const problem = problemOf(value, root, [])
    if (problem) throw new EngineError('INVALID_INPUT', `${problem}; send what JSON can say`)
  }
  return JSON.stringify(value)
}

/** So deep a value is looked at without its path. */
const PLAIN_DEPTH = 32

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

/** Why a value cannot become JSON; undefined where it can. */
function problemOf(value: unknown, path: string, above: object[]): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : `${path} is ${value}`
    case 'object':
      return value === null ? undefined : inside(value, path, above)
    default:
      return `${path} is ${value === undefined ? 'undefined' : `a ${typeof value}`}`
  }
}

function inside(value: object, path: string, above: object[]): string | undefined {
  if (above.includes(value)) return `${path} holds itself`
  if (Array.isArray(value)) {
    const next = [...above, value]
    for (let index = 0; index < value.length; index += 1) {
      const problem = problemOf(value[index], `${path}[${index}]`, next)
      if (problem) return problem
    }
    return undefined
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `${path} is binary data`
  if (value instanceof Map || value instanceof Set || value instanceof RegExp || value instanceof Error) {
    return `${path} is a ${value.constructor.name}`
  }
  // A date, and what else knows its own form.
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return problemOf(toJSON.call(value), path, [...above, value])
  const next = [...above, value]
  for (const [key, item] of Object.entries(value)) {
    // As everywhere in JavaScript, a property without a value is as good as none.
    const problem = item === undefined ? undefined : problemOf(item, `${path}.${key}`, next)
    if (problem) return problem
  }
  return undefined
}
