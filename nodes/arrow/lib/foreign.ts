/**
 * Tables and record batches of the npm package `apache-arrow`, of whatever copy of it. The package is not needed here: they
 * are known by their shape, written by their own module where that is loaded and does it rightly, and else read field by
 * field.
 */
import { EngineError } from '../../shared/errors'
import type { Row } from './packer'
import type { Column } from './schema'

/** The parts of its types that are looked at. */
interface Type {
  typeId: number
  bitWidth?: number
  isSigned?: boolean
  precision?: number
  scale?: number
  unit?: number
  timezone?: string | null
  byteWidth?: number
  listSize?: number
  children?: Field[] | null
  indices?: Type
  dictionary?: Type
}

interface Field {
  name: string
  type: Type
  nullable: boolean
}

interface Data {
  type: Type
  length: number
  offset: number
  // biome-ignore lint/suspicious/noExplicitAny: a typed array of any kind
  values: any
  // biome-ignore lint/suspicious/noExplicitAny: 32 bits or 64
  valueOffsets: any
  /** Of views: what is longer than twelve bytes. */
  variadicBuffers?: Uint8Array[]
  children: Data[]
  dictionary?: { data: Data[] }
  getValid(index: number): boolean
}

interface RecordBatch {
  schema: { fields: Field[] }
  numRows: number
  data: Data
}

interface Table {
  schema: { fields: Field[] }
  numRows: number
  batches: RecordBatch[]
}

type Source = Table | RecordBatch
type Of<T> = new (...given: never[]) => T

interface Module {
  Table: Of<Table>
  RecordBatch: Of<RecordBatch>
  tableToIPC(table: Table, form: 'stream'): Uint8Array
}

export function isForeign(source: object): source is Source {
  const { schema, numRows, batches, data } = source as Partial<Table & RecordBatch>
  const isData = typeof data?.getValid === 'function' && Array.isArray(data.children)
  return Array.isArray(schema?.fields) && typeof numRows === 'number' && (Array.isArray(batches) || isData)
}

/** What a row of its tables has for a list. */
export function isVector(value: object): value is Iterable<unknown> {
  if (!(Symbol.iterator in value)) return false
  const { type, data } = value as { type?: Partial<Type>; data?: unknown }
  return typeof type?.typeId === 'number' && Array.isArray(data)
}

/** What a row of its tables has for a decimal: the digits without the scale. */
export function isDecimal(value: object): boolean {
  return Symbol.for('isArrowBigNum') in value
}

/** What its own module writes; undefined where that is not among the loaded ones, or cannot. */
export function writtenByItself(source: Source): Uint8Array | undefined {
  if (source.schema.fields.some(({ type }) => isOnlyReadHere(type))) return undefined
  for (const loaded of Object.values(require.cache)) {
    const own = loaded?.exports as Partial<Module> | undefined
    if (typeof own?.tableToIPC !== 'function' || typeof own.Table !== 'function') continue
    if (isMadeBy(own.Table, source)) return own.tableToIPC(source, 'stream')
    if (typeof own.RecordBatch !== 'function' || !isMadeBy(own.RecordBatch, source)) continue
    const table = new (own.Table as unknown as new (batches: Source[]) => Table)([source])
    return own.tableToIPC(table, 'stream')
  }
  return undefined
}

/** Of a slice of views its own module leaves bytes out; the engine has decimals of 128 bits alone. */
function isOnlyReadHere(type: Type): boolean {
  const { typeId, children, dictionary } = type
  if (typeId === 23 || typeId === 24 || (typeId === 7 && wordsOf(type) !== 4)) return true
  if (dictionary && isOnlyReadHere(dictionary)) return true
  return children?.some(({ type }) => isOnlyReadHere(type)) ?? false
}

/** Of a decimal, in 32 bits each. */
function wordsOf({ bitWidth = 128 }: Type): number {
  return bitWidth / 32
}

/** A value of more digits does not fit its column then, and is told of where it lies. */
const MAX_DIGITS = 38

/** `instanceof` takes those of another copy for its own, and a copy writes the other's types wrongly. */
function isMadeBy<T extends Source>(kind: Of<T>, source: Source): source is T {
  return Object.prototype.isPrototypeOf.call(kind.prototype, source)
}

/** Its rows, and the columns that they need. */
export function fieldByField(source: Source): { schema: Column[]; rows: Row[] } {
  const { fields } = source.schema
  const schema = fields.map(({ name, type, nullable }) => {
    // A column of nulls says that it takes none.
    return { name, type: nameOf(type), nullable: nullable || type.typeId === 1 }
  })
  const batches = 'batches' in source ? source.batches : [source]
  const rows = batches.flatMap(({ data }) =>
    Array.from({ length: data.length }, (_, row) =>
      Object.fromEntries(fields.map(({ name }, place) => [name, valueAt(data.children[place], row)])),
    ),
  )
  return { schema, rows }
}

const UNITS = ['s', 'ms', 'us', 'ns']

function inner(type: Type, place = 0): string {
  const child = type.children?.[place]
  if (!child) throw new EngineError('CONVERSION', 'an Arrow type has no child; give the table as IPC bytes')
  return nameOf(child.type) + (child.nullable ? '' : '!')
}

function nameOf(type: Type): string {
  switch (type.typeId) {
    case 1:
      return 'null'
    case 2:
      return `${type.isSigned ? '' : 'u'}int${type.bitWidth}`
    case 3:
      return ['float16', 'float32', 'float64'][type.precision ?? 2] as string
    case 4:
      return 'binary'
    case 5:
      return 'utf8'
    case 6:
      return 'bool'
    case 7:
      return `decimal(${Math.min(type.precision ?? 0, MAX_DIGITS)}, ${type.scale})`
    case 8:
      return type.unit === 0 ? 'date32' : 'date64'
    case 9:
      return `time(${UNITS[type.unit ?? 0]})`
    case 10:
      return `timestamp(${UNITS[type.unit ?? 0]}${type.timezone ? `, ${type.timezone}` : ''})`
    case 12:
      return `list<${inner(type)}>`
    case 13: {
      const fields = (type.children ?? []).map(({ name }, place) => `${JSON.stringify(name)}: ${inner(type, place)}`)
      return `struct<${fields.join(', ')}>`
    }
    case 15:
      return `fixed-binary(${type.byteWidth})`
    case 16:
      return `fixed-list(${type.listSize})<${inner(type)}>`
    case 17: {
      const [key, value] = type.children?.[0]?.type.children ?? []
      if (key && value) return `map<${nameOf(key.type)}, ${nameOf(value.type)}${value.nullable ? '' : '!'}>`
      break
    }
    case 19:
      return 'large-binary'
    case 20:
      return 'large-utf8'
    case 21:
      return `large-list<${inner(type)}>`
    case 23:
      return 'binary-view'
    case 24:
      return 'utf8-view'
    case -1:
      if (type.indices && type.dictionary) return `dictionary<${nameOf(type.indices)}, ${nameOf(type.dictionary)}>`
  }
  throw new EngineError('CONVERSION', `Arrow's type ${type.typeId} is not taken; give the table as IPC bytes`)
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function valueAt(data: Data | undefined, row: number): unknown {
  if (!data?.getValid(row)) return null
  const { type, values, valueOffsets: offsets, children } = data
  const span = (): [number, number] => [Number(offsets[row]), Number(offsets[row + 1])]
  const items = (begin: number, end: number) =>
    Array.from({ length: end - begin }, (_, place) => valueAt(children[0], begin + place))
  switch (type.typeId) {
    case 1:
      return null
    case 3:
      return type.precision === 0 ? half(values[row]) : values[row]
    case 4:
    case 19:
      return values.subarray(...span())
    case 5:
    case 20:
      return decoder.decode(values.subarray(...span()))
    case 23:
      return viewed(data, row)
    case 24:
      return decoder.decode(viewed(data, row))
    case 6: {
      const bit = data.offset + row
      return ((values[bit >> 3] >> (bit & 7)) & 1) === 1
    }
    case 7:
      return decimal(values.subarray(row * wordsOf(type), (row + 1) * wordsOf(type)), type.scale ?? 0)
    case 2:
    case 8:
    case 9:
    case 10:
      return whole(data, row)
    case 12:
    case 21:
      return items(...span())
    case 13: {
      const fields = type.children ?? []
      return Object.fromEntries(fields.map(({ name }, place) => [name, valueAt(children[place], row)]))
    }
    case 15: {
      const width = type.byteWidth ?? 0
      return values.subarray(row * width, (row + 1) * width)
    }
    case 16: {
      const size = type.listSize ?? 0
      return items(row * size, (row + 1) * size)
    }
    case 17: {
      const [begin, end] = span()
      const [keys, held] = children[0]?.children ?? []
      const pair = (place: number) => [valueAt(keys, place), valueAt(held, place)] as const
      return new Map(Array.from({ length: end - begin }, (_, place) => pair(begin + place)))
    }
    default: {
      let place = Number(values[row])
      const chunk = data.dictionary?.data.find(({ length }) => {
        if (place < length) return true
        place -= length
        return false
      })
      return valueAt(chunk, place)
    }
  }
}

/** A view of 16 bytes: its length, then the bytes themselves, or where they are. */
function viewed({ values, variadicBuffers }: Data, row: number): Uint8Array {
  const view = Buffer.from(values.buffer, values.byteOffset + row * 16, 16)
  const length = view.readInt32LE(0)
  if (length <= 12) return view.subarray(4, 4 + length)
  const start = view.readInt32LE(12)
  const bytes = variadicBuffers?.[view.readInt32LE(8)]?.subarray(start, start + length)
  if (bytes?.length === length) return bytes
  throw new EngineError('CONVERSION', 'an Arrow view leads nowhere; give the table as IPC bytes')
}

/** 64 bits may be two numbers. */
function whole({ type, values }: Data, row: number): number | bigint {
  const isWide = type.bitWidth === 64 || type.typeId === 10 || (type.typeId === 8 && type.unit !== 0)
  if (!isWide || typeof values[0] === 'bigint') return values[row]
  return (BigInt(values[2 * row + 1]) << 32n) | BigInt(values[2 * row] >>> 0)
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function decimal(words: Uint32Array, scale: number): string {
  const bits = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n)
  const number = BigInt.asIntN(words.length * 32, bits)
  const digits = String(number < 0n ? -number : number).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${number < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`
}
