/**
 * Messages to CDR and back, by their definitions. What leaves is plain: numbers, texts, arrays, and
 * Buffers for bytes, which are views of the message. What comes in is checked, and a wrong value is
 * named by its path. Alignment counts from behind the four-byte header.
 */
import { EngineError, quote } from '../../shared/errors'
import type { Definition, Field } from './definitions'
import { type Primitive, primitives } from './primitives'
import { CdrReader } from './reader'
import { CdrWriter } from './writer'

export interface DecodeOptions {
  /** 64-bit integers as bigint (default), or as decimal text, which JSON can carry. */
  int64?: 'bigint' | 'string'
  /** Arrays of numbers as arrays (default), or as Buffers of little-endian bytes. Bytes are always Buffers. */
  arrays?: 'numbers' | 'buffers'
}

type Read = (from: CdrReader) => unknown
type Write = (to: CdrWriter, value: unknown, path: string) => void

interface Compiled {
  read: Read
  write: Write
}

/** Reads and writes one type of message. */
export class Codec {
  private compiled: Compiled | undefined

  /** Where the definitions are a function, it is asked with the first message. */
  constructor(
    readonly type: string,
    private readonly definitions: readonly Definition[] | (() => readonly Definition[]),
    private readonly options: DecodeOptions = {},
  ) {
    if (typeof definitions !== 'function') this.root()
  }

  /** `cdr` begins with its header. Buffers in the result share its memory. */
  decode(cdr: Buffer): Record<string, unknown> {
    return this.root().read(new CdrReader(cdr)) as Record<string, unknown>
  }

  /** Fields that are missing get their defaults; a field that the type does not have is an error. */
  encode(message: unknown): Buffer {
    const writer = new CdrWriter()
    this.root().write(writer, message, '')
    return writer.finish()
  }

  private root(): Compiled {
    const { definitions, options } = this
    this.compiled ??= compile(typeof definitions === 'function' ? definitions() : definitions, options)
    return this.compiled
  }
}

function compile(definitions: readonly Definition[], options: DecodeOptions): Compiled {
  const byName = new Map(definitions.map((definition) => [definition.name ?? '', definition]))
  const done = new Map<string, Compiled>()

  const struct = (name: string): Compiled => {
    const before = done.get(name)
    if (before) return before
    const made = structOf(fieldsOf(byName.get(name)).map((field) => ({ field, ...ofField(field) })))
    done.set(name, made)
    return made
  }

  const ofField = (field: Field): Compiled => {
    if (field.isComplex) return field.isArray ? listOf(struct(field.type), field) : struct(field.type)
    const primitive = primitives[field.type]
    if (!primitive) throw new EngineError('UNKNOWN_TYPE', `field ${field.name}: there is no type ${quote(field.type)}`)
    if (!field.isArray) return single(primitive, field, options)
    // The default is that of the whole list.
    const one = single(primitive, { ...field, defaultValue: undefined }, options)
    return primitive.size ? numbersOf(primitive, one, field, options) : listOf(one, field)
  }

  return struct('')
}

function fieldsOf(definition: Definition | undefined): Field[] {
  return definition?.definitions.filter((field) => !field.isConstant) ?? []
}

function structOf(fields: (Compiled & { field: Field })[]): Compiled {
  const names = new Set(fields.map(({ field }) => field.name))
  return {
    read(from) {
      // DDS has no empty structures: an empty message is one byte.
      if (fields.length === 0) from.skip(1)
      const message: Record<string, unknown> = {}
      for (const { field, read } of fields) message[field.name] = read(from)
      return message
    },
    write(to, value, path) {
      const message = value ?? {}
      if (typeof message !== 'object' || Array.isArray(message)) throw wrong(path, value, 'an object')
      for (const name of Object.keys(message)) {
        if (!names.has(name)) throw unknownField(path, name, names)
      }
      if (fields.length === 0) to.byte(0)
      for (const { field, write } of fields) {
        write(to, (message as Record<string, unknown>)[field.name], path ? `${path}.${field.name}` : field.name)
      }
    },
  }
}

function single(primitive: Primitive, field: Field, options: DecodeOptions): Compiled {
  const asText = options.int64 === 'string' && primitive.wide
  const fallback = field.defaultValue ?? primitive.zero
  return {
    read: asText ? (from) => String(primitive.read(from)) : primitive.read,
    write(to, value, path) {
      const given = value ?? fallback
      const checked = primitive.check(given)
      if (checked === undefined) throw wrong(path, given, primitive.expected)
      if (field.upperBound !== undefined && String(checked).length > field.upperBound) {
        throw wrong(path, given, `a text of at most ${field.upperBound} characters`)
      }
      primitive.write(to, checked as never)
    },
  }
}

function listOf(item: Compiled, field: Field): Compiled {
  return {
    read(from) {
      const count = field.arrayLength ?? from.count(1)
      const items: unknown[] = []
      for (let place = 0; place < count; place += 1) items.push(item.read(from))
      return items
    },
    write(to, value, path) {
      const items = value ?? field.defaultValue ?? []
      if (!Array.isArray(items)) throw wrong(path, value, 'an array')
      const count = writeCount(to, items.length, value === undefined, field, path)
      for (let place = 0; place < count; place += 1) item.write(to, items[place], `${path}[${place}]`)
    },
  }
}

/** Arrays of numbers: bytes at a stretch where both sides have them so. */
function numbersOf(primitive: Primitive, one: Compiled, field: Field, options: DecodeOptions): Compiled {
  const size = primitive.size as number
  const isBytes = primitive.bytes === true
  const list = listOf(one, field)
  const raw = (from: CdrReader) => from.bytes(field.arrayLength ?? from.count(size), size)
  return {
    read: isBytes || (options.arrays === 'buffers' && primitive.numeric) ? raw : list.read,
    write(to, value, path) {
      if (!ArrayBuffer.isView(value)) return list.write(to, value, path)
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      if (bytes.length % size !== 0) throw wrong(path, value, `a multiple of ${size} bytes`)
      writeCount(to, bytes.length / size, false, field, path)
      to.bytes(bytes, size)
    },
  }
}

function writeCount(to: CdrWriter, given: number, missing: boolean, field: Field, path: string): number {
  const { arrayLength, arrayUpperBound } = field
  if (arrayLength !== undefined) {
    if (!missing && given !== arrayLength) throw wrong(path, given, `an array of ${arrayLength} elements`, 'has')
    return arrayLength
  }
  if (arrayUpperBound !== undefined && given > arrayUpperBound) {
    throw wrong(path, given, `an array of at most ${arrayUpperBound} elements`, 'has')
  }
  to.count(given)
  return given
}

function wrong(path: string, value: unknown, expected: string, verb = 'is'): EngineError {
  return new EngineError(
    'INVALID_INPUT',
    `${path ? `field ${path}` : 'the message'} ${verb} ${quote(value)}; it must be ${expected}`,
  )
}

function unknownField(path: string, name: string, names: ReadonlySet<string>): EngineError {
  const whole = path ? `${path}.${name}` : name
  return new EngineError('INVALID_INPUT', `there is no field ${whole}; there are: ${[...names].join(', ') || 'none'}`)
}
