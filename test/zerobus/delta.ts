/** A table's columns, and what they take: the same whatever way rows come by. */
import type { SchemaCause } from './status'

/** In SQL's words: `BIGINT`, `DECIMAL(10, 2)`, `ARRAY<STRUCT<a: INT NOT NULL>>`. */
export interface Column {
  name: string
  type: string
  nullable?: boolean
}

/** A place for values. `inner` are the item of an `ARRAY`, key and value of a `MAP`, the fields of a `STRUCT`. */
export interface Field {
  name: string
  nullable: boolean
  type: string
  inner: Field[]
  /** Of a `DECIMAL`. */
  digits?: [precision: number, scale: number]
}

/**
 * `BIGINT` and moments (in microseconds) are bigints, `DATE` counts days, `DECIMAL` is text, `MAP` a Map; a row has each
 * column of the table.
 */
export type Row = Record<string, unknown>

/** How a scalar travels. */
const FORMS: Record<string, { arrow: string; protobuf: string }> = {
  BOOLEAN: { arrow: 'Bool', protobuf: 'bool' },
  TINYINT: { arrow: 'Int8', protobuf: 'int32' },
  SMALLINT: { arrow: 'Int16', protobuf: 'int32' },
  INT: { arrow: 'Int32', protobuf: 'int32' },
  BIGINT: { arrow: 'Int64', protobuf: 'int64' },
  FLOAT: { arrow: 'Float32', protobuf: 'float' },
  DOUBLE: { arrow: 'Float64', protobuf: 'double' },
  STRING: { arrow: 'LargeUtf8', protobuf: 'string' },
  DECIMAL: { arrow: 'LargeUtf8', protobuf: 'string' },
  BINARY: { arrow: 'LargeBinary', protobuf: 'bytes' },
  DATE: { arrow: 'Date32<DAY>', protobuf: 'int32' },
  TIMESTAMP: { arrow: 'Timestamp<MICROSECOND, UTC>', protobuf: 'int64' },
  TIMESTAMP_NTZ: { arrow: 'Timestamp<MICROSECOND>', protobuf: 'int64' },
  // A Protobuf record has it as JSON, Arrow in its binary form, which is not read here.
  VARIANT: { arrow: 'STRUCT', protobuf: 'string' },
}

const BITS: Record<string, number> = {
  ...{ TINYINT: 8, SMALLINT: 16, INT: 32, DATE: 32 },
  ...{ BIGINT: 64, TIMESTAMP: 64, TIMESTAMP_NTZ: 64 },
}

export function fieldsOf(columns: Column[]): Field[] {
  return columns.map(({ name, type, nullable = true }) => {
    const words = type.match(/\w+|[<>,:()]/g) ?? []
    const field = readType(name, nullable, words)
    if (words.length > 0) throw new Error(`column ${name}: ${words.join(' ')} is left of ${type}`)
    return field
  })
}

function readType(name: string, nullable: boolean, words: string[]): Field {
  const take = (wanted?: string) => {
    const word = words.shift() ?? ''
    if (wanted !== undefined && word !== wanted) throw new Error(`column ${name}: '${word}' is no '${wanted}'`)
    return word
  }
  const type = take()
  const field: Field = { name, nullable, type, inner: [] }
  if (type === 'DECIMAL') {
    take('(')
    const precision = Number(take())
    take(',')
    field.digits = [precision, Number(take())]
    take(')')
  } else if (type === 'ARRAY' || type === 'MAP' || type === 'STRUCT') {
    const names = type === 'ARRAY' ? ['item'] : ['key', 'value']
    take('<')
    do {
      const inner = type === 'STRUCT' ? take() : (names[field.inner.length] ?? '')
      if (type === 'STRUCT') take(':')
      const child = readType(inner, inner !== 'key' || type === 'STRUCT', words)
      if (words[0] === 'NOT') {
        child.nullable = false
        words.splice(0, 2)
      }
      field.inner.push(child)
    } while (take() === ',')
  } else if (!Object.hasOwn(FORMS, type)) throw new Error(`column ${name}: there is no type ${type}`)
  return field
}

/** Why a table does not take what a stream is opened with; `found` has types in the words of its form. */
export function misfits(wanted: Field[], found: Field[], form: 'arrow' | 'protobuf'): SchemaCause[] {
  const causes = new Set<SchemaCause>()
  if (found.length > wanted.length) causes.add('FIELD_COUNT_MISMATCH')
  compare(wanted, found, form, causes)
  return [...causes]
}

function compare(wanted: Field[], found: Field[], form: 'arrow' | 'protobuf', causes: Set<SchemaCause>): void {
  let last = -1
  for (const field of found) {
    const place = wanted.findIndex(({ name }) => name === field.name)
    const column = wanted[place]
    if (!column) {
      causes.add('FIELD_NOT_IN_TABLE')
      continue
    }
    // Records have numbers for their fields.
    if (form === 'arrow' && place < last) causes.add('FIELD_OUT_OF_ORDER')
    last = Math.max(last, place)
    const type = FORMS[column.type]?.[form] ?? column.type
    // A record says of no field that it is always there.
    const mayLack = form === 'arrow' && field.nullable && !column.nullable
    if (type !== field.type || mayLack) causes.add('TYPE_INCOMPATIBLE')
    else if (field.inner.length !== column.inner.length) causes.add('FIELD_COUNT_MISMATCH')
    else compare(column.inner, field.inner, form, causes)
  }
  const missing = ({ name, nullable }: Field) => !nullable && !found.some((field) => field.name === name)
  if (wanted.some(missing)) causes.add('MISSING_REQUIRED_COLUMN')
}

/** A row of a table, with null where nothing came. Throws for what the table does not take. */
export function toRow(fields: Field[], values: Row, place = ''): Row {
  for (const name of Object.keys(values)) {
    if (!fields.some((field) => field.name === name)) throw new Error(`there is no column ${place}${name}`)
  }
  return Object.fromEntries(fields.map((field) => [field.name, taken(field, values[field.name] ?? null, place)]))
}

function taken(field: Field, value: unknown, place: string): unknown {
  const { name, type, inner } = field
  const at = `${place}${name}`
  if (value === null) {
    if (field.nullable) return null
    throw new Error(`${at} is null`)
  }
  const [first, second] = inner as [Field, Field]
  if (type === 'ARRAY' && Array.isArray(value)) return value.map((item) => taken(first, item, `${at}.`))
  if (type === 'MAP' && value instanceof Map) {
    const pairs = [...value].map(([key, item]) => [taken(first, key, `${at}.`), taken(second, item, `${at}.`)] as const)
    return new Map(pairs)
  }
  if (type === 'STRUCT' && typeof value === 'object') return toRow(inner, value as Row, `${at}.`)
  if (inner.length === 0 && isTaken(field, value)) return value
  throw new Error(`${at} is no ${type}: ${value}`)
}

function isTaken({ type, digits = [0, 0] }: Field, value: unknown): boolean {
  const bits = BITS[type]
  switch (type) {
    case 'BOOLEAN':
      return typeof value === 'boolean'
    case 'FLOAT':
    case 'DOUBLE':
      return typeof value === 'number'
    case 'STRING':
      return typeof value === 'string'
    case 'BINARY':
      return Buffer.isBuffer(value)
    case 'VARIANT':
      return typeof value === 'string' && JSON.parse(value) !== undefined
    case 'DECIMAL': {
      const [, whole, fraction = ''] = /^-?(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? []
      const [precision, scale] = digits
      const places = whole?.replace(/^0+/, '').length ?? 0
      return whole !== undefined && places <= precision - scale && fraction.length <= scale
    }
    default:
      if (bits === 64) return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
      return Number.isInteger(value) && BigInt.asIntN(bits ?? 0, BigInt(value as number)) === BigInt(value as number)
  }
}
