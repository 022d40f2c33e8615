/** JSON records, read strictly by the columns of their table. */
import type { Field, Row } from './delta'

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g
const INTEGER = /^-?\d+$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export function readRecord(fields: Field[], record: string): Row {
  return new JsonRecord(record).read(fields)
}

class JsonRecord {
  /** With all their digits. */
  private readonly numbers: string[] = []
  /** A number in it is the place of one of `numbers`. */
  private readonly value: unknown

  constructor(record: string) {
    const places = record.replace(TOKEN, (word) => {
      if (word.startsWith('"')) return word
      JSON.parse(word)
      return `${this.numbers.push(word) - 1}`
    })
    this.value = JSON.parse(places)
  }

  read(fields: Field[]): Row {
    return this.members(fields, this.value)
  }

  private members(fields: Field[], value: unknown): Row {
    if (!isObject(value)) throw new Error(`no object: ${JSON.stringify(value)}`)
    const pairs = Object.entries(value).map(([name, item]) => {
      const field = fields.find((field) => field.name === name)
      if (!field) throw new Error(`there is no column ${name}`)
      return [name, this.valueOf(field, item)]
    })
    return Object.fromEntries(pairs)
  }

  private valueOf(field: Field, value: unknown): unknown {
    if (value === null) return null
    const { type, inner } = field
    const [first, second] = inner as [Field, Field]
    if (typeof value === 'number') return numberOf(field, this.numbers[value] ?? '')
    if (type === 'STRUCT') return this.members(inner, value)
    if (type === 'ARRAY' && Array.isArray(value)) return value.map((item) => this.valueOf(first, item))
    if (type === 'MAP' && isObject(value)) {
      return new Map(Object.entries(value).map(([key, item]) => [keyOf(first, key), this.valueOf(second, item)]))
    }
    if (type === 'BOOLEAN' && typeof value === 'boolean') return value
    if (typeof value === 'string') return textOf(field, value)
    throw wrong(field, JSON.stringify(value))
  }
}

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong({ name, type }: Field, value: string): Error {
  return new Error(`${name} is no ${type}: ${value}`)
}

/** The keys of an object are texts, whatever those of the map are. */
function keyOf(field: Field, key: string): unknown {
  if (field.type === 'STRING') return key
  if (field.type !== 'BOOLEAN') return numberOf(field, key)
  if (key !== 'true' && key !== 'false') throw wrong(field, key)
  return key === 'true'
}

function numberOf(field: Field, digits: string): number | bigint {
  switch (field.type) {
    case 'FLOAT':
    case 'DOUBLE':
      return Number(digits)
    case 'BIGINT':
    case 'TIMESTAMP':
    case 'TIMESTAMP_NTZ':
      if (INTEGER.test(digits)) return BigInt(digits)
      break
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'DATE':
      if (INTEGER.test(digits)) return Number(digits)
  }
  throw wrong(field, digits)
}

function textOf(field: Field, value: string): unknown {
  switch (field.type) {
    case 'STRING':
    case 'DECIMAL':
      return value
    case 'BINARY':
      if (BASE64.test(value)) return Buffer.from(value, 'base64')
      break
    case 'FLOAT':
    case 'DOUBLE':
      if (/^(?:NaN|-?Infinity)$/.test(value)) return Number(value)
  }
  throw wrong(field, value)
}
