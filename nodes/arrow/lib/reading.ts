/** Values as they leave a batch: what JSON has no kind for becomes what JavaScript has for it. */
import { EngineError, quote } from '../../shared/errors'
import { checkOptions, type Known } from '../../shared/options'
import type { Row } from './packer'
import type { Schema } from './schema'
import { parseType, type Type } from './type'

export interface RowOptions {
  /** 64-bit integers. Default `bigint`; `number` fails where it would lose digits. */
  int64?: 'bigint' | 'string' | 'number'
  /** Dates and timestamps: ISO 8601 with all digits, or a Date, which has milliseconds. Default `iso`. */
  times?: 'iso' | 'date'
  /** Default `buffer`. */
  binary?: 'buffer' | 'base64'
}

const KNOWN: Known<RowOptions> = {
  int64: ['bigint', 'string', 'number'],
  times: ['iso', 'date'],
  binary: ['buffer', 'base64'],
}

type Change = (value: unknown) => unknown

/** What has to be changed in parsed rows; undefined where nothing has. */
export function converters(
  schema: Schema,
  options: RowOptions,
): { row: ((row: Row) => void) | undefined; values: (Change | undefined)[] } {
  checkOptions('rows', options, KNOWN)
  const values = schema.columns.map(({ type }) => changeOf(parseType(type), options))
  const changes = schema.columns.flatMap(({ name }, place) => {
    const change = values[place]
    return change ? [[name, change] as const] : []
  })
  if (changes.length === 0) return { row: undefined, values }
  return {
    row: (row) => {
      for (const [name, change] of changes) {
        const value = row[name]
        if (value !== null) row[name] = change(value)
      }
    },
    values,
  }
}

function changeOf({ word, children }: Type, options: RowOptions): Change | undefined {
  const inner = children.map(({ name, type }) => ({ name, change: changeOf(type, options) }))
  const last = inner.at(-1)?.change
  switch (word) {
    case 'list':
    case 'large-list':
    case 'fixed-list':
      return last && ((value) => (value as unknown[]).map((one) => (one === null ? null : last(one))))
    case 'struct':
      return ofStruct(inner)
    case 'map': {
      const isNamed = /^(large-)?utf8/.test(children[0]?.type.word ?? '')
      return isNamed ? ofNamed(last) : ofPairs(inner[0]?.change, last)
    }
    case 'dictionary':
      return last
    default:
      return simple(word, options)
  }
}

function ofStruct(fields: readonly { name: string; change: Change | undefined }[]): Change | undefined {
  const changes = fields.flatMap(({ name, change }) => (change ? [[name, change] as const] : []))
  if (changes.length === 0) return undefined
  return (value) => {
    const row = value as Row
    for (const [name, change] of changes) if (row[name] !== null) row[name] = change(row[name])
    return row
  }
}

function ofNamed(value: Change | undefined): Change | undefined {
  if (!value) return undefined
  const change = (item: unknown) => (item === null ? null : value(item))
  return (map) => Object.fromEntries(Object.entries(map as Row).map(([name, item]) => [name, change(item)]))
}

function ofPairs(key: Change | undefined, value: Change | undefined): Change | undefined {
  if (!key && !value) return undefined
  const change = (item: unknown) => (item === null || !value ? item : value(item))
  return (map) => (map as [unknown, unknown][]).map(([name, item]) => [key ? key(name) : name, change(item)])
}

function simple(word: string, { int64 = 'bigint', times = 'iso', binary = 'buffer' }: RowOptions): Change | undefined {
  switch (word) {
    case 'int64':
    case 'uint64':
      return int64 === 'bigint' ? (digits) => BigInt(digits as string) : int64 === 'number' ? safe : undefined
    case 'float16':
    case 'float32':
    case 'float64':
      // NaN and the infinities come as text.
      return Number
    case 'binary':
    case 'large-binary':
    case 'binary-view':
    case 'fixed-binary':
      return binary === 'buffer' ? (text) => Buffer.from(text as string, 'base64') : undefined
    case 'date32':
    case 'date64':
    case 'timestamp':
      return times === 'date' ? dateOf : undefined
    default:
      return undefined
  }
}

function safe(digits: unknown): number {
  const number = Number(digits)
  if (Number.isSafeInteger(number)) return number
  throw new EngineError('CONVERSION', `${quote(digits)} is no exact number; read 64-bit integers as bigint or text`)
}

function dateOf(text: unknown): Date {
  const iso = text as string
  // Without a zone it is UTC here, as it was on the way in.
  const date = new Date(iso.includes('T') && !iso.endsWith('Z') ? `${iso}Z` : iso)
  if (!Number.isNaN(date.getTime())) return date
  throw new EngineError('CONVERSION', `${quote(text)} is beyond the dates of JavaScript; read times as text`)
}
