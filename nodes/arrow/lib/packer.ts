/**
 * Rows on their way to the engine: a stream of tagged values, and one text with all strings behind each other, so that
 * they are encoded at once. Values are written as they are; whether they fit their columns is decided on the other side.
 */
import { types } from 'node:util'
import { EngineError, quote } from '../../shared/errors'
import { native } from '../../shared/native'
import { isDecimal, isVector } from './foreign'
import type { Column, Schema } from './schema'

/** Rows that were packed together. */
export interface Packed {
  values: Buffer
  text: Buffer
  rows: number
  /** So many strings are in the text. */
  strings: number
}

/** A row, or what was given for one. */
export type Row = Record<string, unknown>

type Names<N extends string> = Readonly<Record<N, number>>
type TagName =
  | 'null'
  | 'false'
  | 'true'
  | 'number'
  | 'integer'
  | 'digits'
  | 'text'
  | 'date'
  | 'bytes'
  | 'list'
  | 'object'
  | 'map'
  | 'odd'
  | 'short'
  | 'same'

interface Protocol {
  tags: Names<TagName>
  rows: Names<'plain' | 'strange' | 'odd'>
  reasons: readonly string[]
  words: readonly string[]
}

let loaded: Protocol | undefined

/** The numbers that cross, by their names. */
export function protocol(): Protocol {
  if (loaded) return loaded
  const { tags, rows, reasons, words } = native().arrowProtocol()
  const numbered = (names: string[]) => Object.fromEntries(names.map((name, number) => [name, number]))
  loaded = { tags: numbered(tags) as Protocol['tags'], rows: numbered(rows) as Protocol['rows'], reasons, words }
  return loaded
}

/** Deeper values are refused; the engine's own limit. */
const MAX_DEPTH = 32
/** What a value takes that is no text, no bytes and nothing nested. */
const SCALAR = 9
/** A longer text goes with the others. */
const SHORT = 32
const FIRST_SIZE = 1 << 20
/** One sign between two strings: halves of pairs in different strings never meet. */
const BETWEEN = Buffer.from('\0')
const NO_BYTES = new Uint8Array()

// What JavaScript has, and the declarations of the target do not.
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

/** Buffers to write into, for the next slice. */
const spare: Buffer[] = []
const SPARE_MAX = 4
const SPARE_BYTES = 1 << 24

/** What was packed slice by slice, as if it were one. */
export function joined(slices: readonly Packed[]): Omit<Packed, 'strings'> {
  const texts = slices.filter(({ strings }) => strings > 0).map(({ text }) => text)
  return {
    values: Buffer.concat(slices.map(({ values }) => values)),
    text: Buffer.concat(texts.flatMap((text, place) => (place > 0 ? [BETWEEN, text] : [text]))),
    rows: slices.reduce((sum, { rows }) => sum + rows, 0),
  }
}

/** Gives back what was packed, when the engine has read it. */
export function recycle({ values }: Packed): void {
  const { buffer } = values
  if (spare.length < SPARE_MAX && buffer.byteLength <= SPARE_BYTES) spare.push(Buffer.from(buffer))
}

interface Compiled {
  write: WriteRow
  /** What was last is not there any more. A slice begins so, and is written in one go: packers of the same columns share it. */
  forget(): void
}

/** By their columns: a new function is slow until it is known to be hot. */
const known = new Map<string, Compiled>()
const KNOWN_MAX = 100

function compiledFor(columns: readonly string[], tags: Protocol['tags']): Compiled {
  const key = JSON.stringify(columns)
  let compiled = known.get(key)
  if (!compiled) {
    compiled = compile(columns, tags)
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(key, compiled)
  }
  return compiled
}

/** Writes one row's columns from `at` on, as far as it gets by itself; `slow` writes what else there is. */
type WriteRow = (row: Row, at: number, packer: Packer) => number

/**
 * A function for these columns alone: each property is read where no other is, which the engine of JavaScript makes one
 * load of. Short ASCII texts are written on the spot; one that is its column's last one again is a single byte.
 */
function compile(columns: readonly string[], tags: Protocol['tags']): Compiled {
  const read = (name: string) => {
    const key = JSON.stringify(name)
    return name in Object.prototype ? `Object.hasOwn(row, ${key}) ? row[${key}] : undefined` : `row[${key}]`
  }
  const column = (name: string, place: number) => `
    value = ${read(name)}
    if (typeof value === 'number') {
      bytes[at] = ${tags.number}
      view.setFloat64(at + 1, value, true)
      at += 9
    } else if (typeof value === 'string') {
      if (value === last${place}) bytes[at++] = ${tags.same}
      else {
        const length = value.length
        let bits = 128
        if (length <= ${SHORT}) {
          bits = 0
          for (let i = 0; i < length; i += 1) {
            const unit = value.charCodeAt(i)
            bits |= unit
            bytes[at + 2 + i] = unit
          }
        }
        if (bits < 128) {
          bytes[at] = ${tags.short}
          bytes[at + 1] = length
          at += 2 + length
          last${place} = value
        } else {
          at = packer.slow(value, at)
          bytes = packer.bytes
          view = packer.view
        }
      }
    } else if (value === true) bytes[at++] = ${tags.true}
    else if (value === false) bytes[at++] = ${tags.false}
    else if (value === null) bytes[at++] = ${tags.null}
    else if (value === undefined) {
      bytes[at++] = ${tags.null}
      absent += 1
    } else {
      at = packer.slow(value, at)
      bytes = packer.bytes
      view = packer.view
    }`
  const names = columns.map((_, place) => `last${place}`)
  const body = `
  'use strict'
  let ${['unused', ...names].join(', ')}
  return {
    write(row, at, packer) {
      let { bytes, view } = packer
      let value
      let absent = 0
      ${columns.map(column).join('\n')}
      packer.found = ${columns.length} - absent
      return at
    },
    forget() { ${names.map((name) => `${name} = undefined`).join('; ')} },
  }`
  try {
    return new Function(body)()
  } catch (cause) {
    throw new EngineError(
      'UNAVAILABLE',
      'rows cannot be read where JavaScript may not compile code; start Node.js without --disallow-code-generation-from-strings',
      { cause },
    )
  }
}

/** Made by an object's braces, in whatever realm. */
function isPlain(value: object): boolean {
  const made = Object.getPrototypeOf(value)
  return made === Object.prototype || made === null || Object.getPrototypeOf(made) === null
}

/** What it holds is not in its properties, whatever there is in them beside it. */
function isSpecial(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isPromise(value) ||
    types.isNativeError(value) ||
    types.isBoxedPrimitive(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  )
}

function nameOf(value: object): string {
  return `a ${value.constructor?.name || 'special object'}`
}

/** Writes rows of one schema, or rows whose schema is still to be found. */
export class Packer {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE)
  view = new DataView(this.bytes.buffer)
  /** Columns that the last row had. @internal */
  found = 0
  private at = 0
  private parts: string[] = []
  /** Of `parts`, with what will stand between them. */
  private units = 0
  private rows = 0
  /** What the value is in that is being written. */
  private within: object[] = []
  /** Every string is looked at: one of them has half a pair of surrogates. */
  private careful = false
  private readonly tags = protocol().tags
  private readonly kinds = protocol().rows
  private readonly known: ReadonlySet<string>
  private readonly compiled: Compiled
  private readonly rowSize: number

  constructor(
    columns: readonly string[],
    private readonly ignoreUnknown: boolean,
    /** Texts and bytes are left empty: what kind they are is enough. */
    private readonly kindsOnly = false,
  ) {
    this.known = new Set(columns)
    this.compiled = compiledFor(columns, this.tags)
    this.rowSize = columns.length * (SHORT + SCALAR) + SCALAR
  }

  /** So many bytes were written; texts count by their units. */
  get size(): number {
    return this.at + this.units
  }

  /** Adds a row, in the order of the columns. */
  row(row: unknown): void {
    this.rows += 1
    if (this.at + this.rowSize > this.bytes.length) this.reserve(this.rowSize)
    if (row === null || typeof row !== 'object' || Array.isArray(row)) return this.tag(this.kinds.odd)
    // Of almost all rows the constructor tells at once that they are plain.
    const plain = row.constructor === Object || isPlain(row)
    if (!plain && this.isOpaque(row)) return this.tag(this.kinds.odd)
    const start = this.at
    this.bytes[start] = this.kinds.plain
    this.at = this.compiled.write(row as Row, start + 1, this)
    // An iterator has that constructor, too, and no properties.
    if (this.found === 0 && !isPlain(row) && this.isOpaque(row)) {
      this.at = start
      return this.tag(this.kinds.odd)
    }
    if (this.ignoreUnknown) return
    // Counting is quicker than asking for each name; but the getters of a class are found and not counted.
    let names = 0
    for (const _ in row) names += 1
    const strange = plain && names === this.found ? undefined : this.strange(row as Row)
    if (strange === undefined) return
    this.bytes[start] = this.kinds.strange
    this.string(strange)
  }

  /** Adds a row as an object, for a schema to be found. */
  object(row: unknown): void {
    this.rows += 1
    this.value(row, 0)
  }

  /** What was written; the packer is empty then. `again` writes the same rows once more, where a text is broken. */
  finish(again: (packer: Packer) => void): Packed {
    const text = this.parts.join(String(BETWEEN))
    if (!this.careful && !isWellFormed(text)) {
      this.reset()
      this.careful = true
      again(this)
      const packed = this.finish(again)
      this.careful = false
      return packed
    }
    const { rows, parts } = this
    const packed = { values: this.bytes.subarray(0, this.at), text: Buffer.from(text), rows, strings: parts.length }
    this.take(spare.pop() ?? Buffer.allocUnsafeSlow(Math.max(FIRST_SIZE, this.bytes.length)))
    this.reset()
    return packed
  }

  /** Writes what the compiled function does not; where the next value goes. @internal */
  slow(value: unknown, at: number): number {
    this.at = at
    this.value(value, 0)
    // Room for the columns behind it.
    this.reserve(this.rowSize)
    return this.at
  }

  private take(bytes: Buffer): void {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** A slice begins, also where a getter of another packer's row ended that one's slice early. @internal */
  reset(): void {
    this.at = 0
    this.parts = []
    this.units = 0
    this.rows = 0
    this.within = []
    this.compiled.forget()
  }

  /** Its columns would all be nulls. */
  private isOpaque(row: object): boolean {
    if (isSpecial(row)) return true
    if (Object.keys(row).length > 0) return false
    for (const name of this.known) if (name in row) return false
    return true
  }

  /** A column of a row that the schema does not have. */
  private strange(row: Row): string | undefined {
    const { known } = this
    for (const name in row) if (!known.has(name) && Object.hasOwn(row, name)) return name
    return undefined
  }

  private reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.at + size, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.at))
    this.take(larger)
  }

  private tag(tag: number): void {
    this.bytes[this.at++] = tag
  }

  private count(count: number): void {
    this.view.setUint32(this.at, count, true)
    this.at += 4
  }

  private string(text: string): void {
    // Only names come here that are broken: they are shown, not kept.
    const whole = this.careful && !isWellFormed(text) ? text.replaceAll(/\p{Surrogate}/gu, '\ufffd') : text
    this.count(whole.length)
    this.parts.push(whole)
    this.units += whole.length + 1
  }

  private value(value: unknown, depth: number): void {
    this.reserve(2 * SCALAR)
    const { tags } = this
    switch (typeof value) {
      case 'number':
        this.tag(tags.number)
        this.view.setFloat64(this.at, value, true)
        this.at += 8
        return
      case 'string':
        // Half a character has no form in UTF-8.
        if (this.careful && !this.kindsOnly && !isWellFormed(value)) return this.tag(tags.odd)
        this.tag(tags.text)
        return this.string(this.kindsOnly ? '' : value)
      case 'boolean':
        return this.tag(value ? tags.true : tags.false)
      case 'undefined':
        return this.tag(tags.null)
      case 'bigint':
        return this.bigint(value)
      case 'object':
        if (value === null) return this.tag(tags.null)
        // What leads back to itself has no end; with two ways back it would be as good as none long before the limit.
        if (depth > MAX_DEPTH || this.within.includes(value)) return this.tag(tags.odd)
        this.within.push(value)
        this.nested(value, depth + 1)
        this.within.pop()
        return
      default:
        return this.tag(tags.odd)
    }
  }

  private bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.tag(this.tags.integer)
      this.view.setBigInt64(this.at, value, true)
      this.at += 8
      return
    }
    this.tag(this.tags.digits)
    this.string(String(value))
  }

  // Objects come from other realms, too: a function node has its own Date and Map.
  private nested(value: object, depth: number): void {
    const { tags } = this
    if (Array.isArray(value)) return this.list(value, depth)
    if (types.isDate(value)) {
      const ms = value.getTime()
      if (Number.isNaN(ms)) return this.tag(tags.odd)
      this.tag(tags.date)
      this.view.setFloat64(this.at, ms, true)
      this.at += 8
      return
    }
    if (types.isUint8Array(value)) return this.raw(this.kindsOnly ? NO_BYTES : value)
    if (types.isAnyArrayBuffer(value)) return this.raw(this.kindsOnly ? NO_BYTES : new Uint8Array(value))
    if (types.isTypedArray(value)) {
      // Without its scale it is no number, and its words are no list.
      if (isDecimal(value)) return this.tag(tags.odd)
      return this.list(value as unknown as ArrayLike<unknown>, depth)
    }
    if (types.isMap(value)) {
      this.tag(tags.map)
      this.count(value.size)
      for (const [key, item] of value) {
        this.value(key, depth)
        this.value(item, depth)
      }
      return
    }
    if (isVector(value)) return this.list([...value], depth)
    const keys = Object.keys(value)
    if (isSpecial(value) || (keys.length === 0 && !isPlain(value))) return this.tag(tags.odd)
    if (this.careful && !keys.every(isWellFormed)) return this.tag(tags.odd)
    this.tag(tags.object)
    this.count(keys.length)
    for (const key of keys) {
      this.reserve(SCALAR)
      this.string(key)
      this.value((value as Row)[key], depth)
    }
  }

  private list(items: ArrayLike<unknown>, depth: number): void {
    this.tag(this.tags.list)
    this.count(items.length)
    for (let place = 0; place < items.length; place += 1) this.value(items[place], depth)
  }

  private raw(bytes: Uint8Array): void {
    this.tag(this.tags.bytes)
    this.count(bytes.length)
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }
}

/** A row that a batch could not take. */
export interface RowError {
  /** Its place among the rows that were given. */
  row: number
  /** With the path within it: `items[3].x`. */
  column: string
  /** What stands there. */
  value: unknown
  reason: RowReason
  code: 'CONVERSION'
  message: string
}

/** Why a value does not go into its column. */
export type RowReason = 'kind' | 'overflow' | 'fraction' | 'null' | 'unknown-column' | 'form' | 'length'

/** The error of a row, as the engine found it. */
export function rowError(row: number, column: string, reason: number, given: unknown, schema?: Schema): RowError {
  const name = protocol().reasons[reason] as RowReason
  const value = column === '' ? given : at(given, column)
  const what = column === '' ? `row ${row}:` : `row ${row}, column ${column}:`
  const way = column !== '' && schema?.isInferred ? wayOut(column, name, schema.columns) : ''
  const message = `${what} ${shown(value)} ${protocol().words[reason]}${way}`
  return { row, column, value, reason: name, code: 'CONVERSION', message }
}

/** What the first rows told wrong can be declared. */
function wayOut(path: string, reason: RowReason, columns: readonly Column[]): string {
  if (reason === 'unknown-column') return ', which the first rows told; declare its columns'
  const type = columns.find(({ name }) => name === path)?.type
  if (type === undefined) return '; the first rows told its type: declare the column'
  // The next rows may tell it.
  if (type === 'null') return ''
  const better = type === 'int64' && reason === 'fraction' ? 'float64' : 'where it has to be another'
  return `; the first rows made the column ${type}: declare it ${better}`
}

/** JSON says nothing of a Map. */
function shown(value: unknown): string {
  if (value !== null && typeof value === 'object' && isDecimal(value)) {
    return `${value}, a decimal without its scale (give the table, not its rows),`
  }
  const text = quote(value)
  return text === '{}' && !isPlain(value as object) ? nameOf(value as object) : text
}

/** What stands at a path; the whole column where names make the path ambiguous. */
function at(row: unknown, path: string): unknown {
  if (row === null || typeof row !== 'object') return row
  if (Object.hasOwn(row, path)) return (row as Row)[path]
  const names = Object.keys(row).filter((name) => path.startsWith(`${name}.`) || path.startsWith(`${name}[`))
  const [name] = names.sort((a, b) => b.length - a.length)
  if (name === undefined) return undefined
  const inner = (row as Row)[name]
  const rest = path.slice(name.length)
  const [, index, tail = ''] = /^\[(\d+)\](.*)$/s.exec(rest) ?? []
  if (index !== undefined) {
    const item = types.isMap(inner) ? undefined : (inner as ArrayLike<unknown>)?.[Number(index)]
    return tail === '' ? item : at({ x: item }, `x${tail}`)
  }
  return rest.startsWith('.') ? at(inner, rest.slice(1)) : inner
}
