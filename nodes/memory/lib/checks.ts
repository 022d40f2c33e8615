/** What is given to the library: what cannot be is told by its name, with what was given. */
import { EngineError, quote } from '../../shared/errors'
import type { Database } from './database'

export function checkWhole(name: string, value: number, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  const range = `from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a whole number ${range}`)
}

export function checkFinite(name: string, value: number): void {
  if (Number.isFinite(value)) return
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a number`)
}

/** A text that is not empty. */
export function checkText(name: string, value: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new EngineError('INVALID_INPUT', `${name} is ${quote(value)}; give a text that is not empty`)
}

/** A text, or none. */
export function checkOptionalText(name: string, value: string | null | undefined): void {
  if (value === undefined || value === null || typeof value === 'string') return
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a text`)
}

/** A filter, or none. What stands in it, the engine reads. */
export function checkFilter(name: string, filter: object | null | undefined): void {
  if (filter === undefined || (typeof filter === 'object' && !Array.isArray(filter))) return
  throw new EngineError('INVALID_INPUT', `${name} is ${quote(filter)}; give an object of paths and conditions`)
}

export function checkNamespace(namespace: string): void {
  checkName('namespace', namespace, 256)
}

export function checkName(what: string, name: string, limit: number): void {
  if (typeof name === 'string' && name !== '' && !name.includes('\0') && name.isWellFormed()) {
    // No character has more than three bytes a unit.
    if (name.length * 3 <= limit || Buffer.byteLength(name) <= limit) return
  }
  throw new EngineError(
    'INVALID_INPUT',
    `the ${what} ${quote(name)} cannot be one; give a text of 1 to ${limit} bytes without a zero or half a character`,
  )
}

export function checkDatabase(db: Database): void {
  if (typeof db?.putBatch === 'function') return
  throw new EngineError('INVALID_OPTION', `the database is ${quote(db)}; give one that Database.open opened`)
}
