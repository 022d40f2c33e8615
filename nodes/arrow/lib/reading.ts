/** Values as they leave a batch: what JSON has no kind for becomes what JavaScript has for it. */
import { EngineError, quote } from '../../shared/errors'
import { checkOptions, type Known } from '../../shared/options'
import type { Row } from './packer'
import type { Schema } from './schema'

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
  const values = schema.columns.map(({ type }) => new TypeReader(type, options).read())
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

/** Reads the name of a type, as the engine writes it, for what its values need. */
class TypeReader {
  private at = 0

  constructor(
    private readonly text: string,
    private readonly options: RowOptions,
  ) {}

  read(): Change | undefined {
    const [word = ''] = /^[\w-]+/.exec(this.text.slice(this.at)) ?? []
    this.at += word.length
    if (this.text[this.at] === '(') this.at = this.text.indexOf(')', this.at) + 1
    switch (word) {
      case 'list':
      case 'large-list':
      case 'fixed-list': {
        const item = this.inner()
        return item && ((value) => (value as unknown[]).map((one) => (one === null ? null : item(one))))
      }
      case 'struct':
        return this.struct()
      case 'map':
        return this.map()
      case 'dictionary': {
        const first = this.inner()
        return this.text[this.at - 1] === ',' ? this.last() : first
      }
      default:
        return this.simple(word)
    }
  }

  /** Behind the sign before it, with the sign behind it and what is said of nulls. */
  private inner(): Change | undefined {
    this.at += 1
    return this.last()
  }

  private last(): Change | undefined {
    while (this.text[this.at] === ' ') this.at += 1
    const change = this.read()
    while (this.text[this.at] === '!') this.at += 1
    this.at += 1
    return change
  }

  private struct(): Change | undefined {
    const changes: [string, Change][] = []
    this.at += 1
    while (this.at < this.text.length && this.text[this.at] !== '>') {
      while (/[ ,]/.test(this.text[this.at] ?? '')) this.at += 1
      const [name = ''] = /^("(?:[^"\\]|\\.)*"|[^:]*)/.exec(this.text.slice(this.at)) ?? []
      this.at += name.length + 1
      while (this.text[this.at] === ' ') this.at += 1
      const change = this.read()
      if (this.text[this.at] === '!') this.at += 1
      if (change) changes.push([name.startsWith('"') ? JSON.parse(name) : name, change])
    }
    this.at += 1
    if (changes.length === 0) return undefined
    return (value) => {
      const row = value as Row
      for (const [name, change] of changes) if (row[name] !== null) row[name] = change(row[name])
      return row
    }
  }

  private map(): Change | undefined {
    const named = /^<(?:large-)?utf8/.test(this.text.slice(this.at))
    const key = this.inner()
    const value = this.last()
    const change = (item: unknown) => (item === null || !value ? item : value(item))
    if (named) {
      return (
        value && ((map) => Object.fromEntries(Object.entries(map as Row).map(([name, item]) => [name, change(item)])))
      )
    }
    if (!key && !value) return undefined
    return (map) => (map as [unknown, unknown][]).map(([name, item]) => [key ? key(name) : name, change(item)])
  }

  private simple(word: string): Change | undefined {
    const { int64 = 'bigint', times = 'iso', binary = 'buffer' } = this.options
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
