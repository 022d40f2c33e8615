/** Columns of a table as Unity Catalog tells them, as columns of ours. */
import { EngineError, quote } from '../../shared/errors'
import type { Column } from './schema'

/** Of the `columns` in the answer to `GET /api/2.1/unity-catalog/tables/<name>`. */
export interface UnityColumn {
  name: string
  /** `bigint`, `decimal(10,2)`, `struct<a:int,b:array<string>>`. */
  type_text: string
  /** Default true. */
  nullable?: boolean
  position?: number
}

/** Those that are no word of ours; `decimal` has digits, and is ours too. */
const PLAIN: Record<string, string> = {
  boolean: 'bool',
  tinyint: 'int8',
  byte: 'int8',
  smallint: 'int16',
  short: 'int16',
  int: 'int32',
  integer: 'int32',
  bigint: 'int64',
  long: 'int64',
  float: 'float32',
  real: 'float32',
  double: 'float64',
  string: 'utf8',
  char: 'utf8',
  varchar: 'utf8',
  binary: 'binary',
  date: 'date32',
  timestamp: 'timestamp(us, UTC)',
  timestamp_ntz: 'timestamp(us)',
}
const MAX_DEPTH = 32
/** A Protobuf record brings a variant as JSON; Arrow Flight has to bring its binary form. */
const OR_AS_TEXT = ", or give its type_text as 'string', its values as JSON texts, and send by protobuf"
/** A name, a text in backquotes, or a sign. */
const TOKEN = /\s*(`(?:[^`]|``)*`|[^\s<>(),:`]+|[<>(),:])/y

/** In the order of the table. */
export function columnsOf(columns: readonly UnityColumn[]): Column[] {
  const is = (column: unknown) => typeof (column as UnityColumn | null)?.type_text === 'string'
  if (!Array.isArray(columns) || !columns.every(is)) {
    const text = `the columns are ${quote(columns)}; give the list \`columns\` of the table as the API tells it`
    throw new EngineError('INVALID_OPTION', text)
  }
  const place = ({ position }: UnityColumn, index: number) => position ?? index
  const sorted = columns.map((column, index) => ({ column, at: place(column, index) })).sort((a, b) => a.at - b.at)
  return sorted.map(({ column: { name, type_text, nullable } }) => ({
    name,
    type: typeOf(type_text, name),
    nullable: nullable ?? true,
  }))
}

function typeOf(text: string, column: string): string {
  const refuse = (isVariant = false): never => {
    const what = `column ${quote(column)} is of the type ${quote(text)}, which has no form in Arrow here`
    throw new EngineError('INVALID_OPTION', `${what}; leave it out${isVariant ? OR_AS_TEXT : ''}`)
  }
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  for (let at = 0; text.slice(at).trim() !== ''; at = TOKEN.lastIndex) {
    const [, token] = TOKEN.exec(text) ?? refuse()
    tokens.push(token as string)
  }
  let next = 0
  const is = (sign: string) => tokens[next] === sign && next++ >= 0
  const expect = (sign: string) => is(sign) || refuse()
  const type = (depth: number): string => {
    const word = (tokens[next++] ?? '').toLowerCase()
    const digits: string[] = []
    if (is('(')) {
      while (!is(')')) digits.push(is(',') ? '' : (tokens[next++] ?? refuse()))
    }
    if (depth > MAX_DEPTH) return refuse()
    const inner = () => type(depth + 1)
    if (word === 'decimal' || word === 'numeric' || word === 'dec') {
      const [precision = '10', scale = '0'] = digits.filter((digit) => digit !== '')
      return `decimal(${precision}, ${scale})`
    }
    if (Object.hasOwn(PLAIN, word)) return PLAIN[word] as string
    if (word === 'variant') return refuse(true)
    expect('<')
    if (word === 'struct') {
      const fields: string[] = []
      while (!is('>')) {
        if (fields.length > 0) expect(',')
        const name = (tokens[next++] ?? refuse()).replace(/^`(.*)`$/s, '$1').replaceAll('``', '`')
        expect(':')
        fields.push(`${JSON.stringify(name)}: ${inner()}`)
      }
      return `struct<${fields.join(', ')}>`
    }
    const list = word === 'array' ? `list<${inner()}>` : undefined
    if (list) return expect('>') && list
    if (word !== 'map') return refuse()
    const key = inner()
    expect(',')
    const map = `map<${key}, ${inner()}>`
    return expect('>') && map
  }
  const whole = type(0)
  return next === tokens.length ? whole : refuse()
}
