/**
 * Where a type has its stamp, as steps over what lies before it. The engine takes the same steps, so that it
 * need not know types: native/src/ros2/stamp.rs.
 */
import { EngineError } from '../../shared/errors'
import type { Definition, Field } from './definitions'
import { CdrReader } from './reader'

/** Over one thing that lies before the stamp. Numbers are aligned to their size. */
export type Step =
  /** So many bytes a number, and so many numbers. */
  | { skip: [size: number, count: number] }
  /** A text, with so many bytes a character. */
  | { text: number }
  /** A sequence of numbers of so many bytes. */
  | { numbers: number }
  /** A sequence; the steps are those over one element. */
  | { list: Step[] }
  /** So many times the same steps. */
  | { repeat: [count: number, steps: Step[]] }
  /** Into the first element of a sequence; an empty one has no stamp. */
  | 'first'

const SECOND = 1_000_000_000n
const HEADER = 'std_msgs/Header'
const TIMES = ['time', 'builtin_interfaces/Time']
const DURATIONS = ['duration', 'builtin_interfaces/Duration']

const SIZES: Record<string, number> = {
  ...{ bool: 1, byte: 1, char: 1, int8: 1, uint8: 1 },
  ...{ int16: 2, uint16: 2, int32: 4, uint32: 4, float32: 4 },
  ...{ int64: 8, uint64: 8, float64: 8 },
}

/**
 * The way to the stamp: of the message's header, else its field `stamp`, else those of the parts of the message, the
 * less deep first; where only arrays have one, that of the first element. Null: the type has none.
 */
export function stampSteps(definitions: readonly Definition[]): Step[] | null {
  const fields = new Map(definitions.map(({ name = '', definitions }) => [name, definitions.filter(isData)]))
  const fieldsOf = (name: string) => fields.get(name) ?? []
  for (const intoArrays of [false, true]) {
    const seen = new Set<string>()
    let level: { name: string; steps: Step[] }[] = [{ name: '', steps: [] }]
    while (level.length > 0) {
      const deeper: typeof level = []
      for (const { name, steps } of level) {
        const before = (place: number) => [...steps, ...over(fieldsOf(name).slice(0, place), fieldsOf)]
        const header = fieldsOf(name).findIndex(isSingle(HEADER))
        const inHeader = fieldsOf(HEADER).findIndex(isStamp)
        if (header >= 0 && inHeader >= 0) {
          return merged([...before(header), ...over(fieldsOf(HEADER).slice(0, inHeader), fieldsOf)])
        }
        const stamp = fieldsOf(name).findIndex(isStamp)
        if (stamp >= 0) return merged(before(stamp))
        fieldsOf(name).forEach((field, place) => {
          if (!field.isComplex || (field.isArray && !intoArrays) || field.arrayLength === 0) return
          if (seen.has(field.type)) return
          seen.add(field.type)
          const isSequence = field.isArray && field.arrayLength === undefined
          deeper.push({ name: field.type, steps: [...before(place), ...(isSequence ? (['first'] as const) : [])] })
        })
      }
      level = deeper
    }
  }
  return null
}

/** The stamp behind the steps, ns since the epoch; undefined where the message ends before it, or has no first element. */
export function stampOf(cdr: Buffer, steps: readonly Step[]): bigint | undefined {
  const found = find(cdr, steps)
  if (!found) return undefined
  const { place, little } = found
  const sec = little ? cdr.readInt32LE(place) : cdr.readInt32BE(place)
  const nanosec = little ? cdr.readUInt32LE(place + 4) : cdr.readUInt32BE(place + 4)
  return BigInt(sec) * SECOND + BigInt(nanosec)
}

/** A copy of the message with that stamp moved; itself where it has none. */
export function restamped(cdr: Buffer, steps: readonly Step[], byNs: bigint): Buffer {
  const [found, stamp] = [find(cdr, steps), stampOf(cdr, steps)]
  if (!found || stamp === undefined) return cdr
  const { place, little } = found
  const { sec, nanosec } = timeOfNs(stamp + byNs)
  const copy = Buffer.from(cdr)
  if (little) {
    copy.writeInt32LE(sec, place)
    copy.writeUInt32LE(nanosec, place + 4)
  } else {
    copy.writeInt32BE(sec, place)
    copy.writeUInt32BE(nanosec, place + 4)
  }
  return copy
}

/** A time as ROS has it. What its 32 bits of seconds do not hold is held at their end. */
export function timeOfNs(ns: bigint): { sec: number; nanosec: number } {
  const nanosec = ((ns % SECOND) + SECOND) % SECOND
  const sec = Number((ns - nanosec) / SECOND)
  return { sec: Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, sec)), nanosec: Number(nanosec) }
}

function find(cdr: Buffer, steps: readonly Step[]): { place: number; little: boolean } | undefined {
  try {
    const reader = new CdrReader(cdr)
    if (!take(reader, steps)) return undefined
    const place = reader.place(4)
    reader.place(4)
    return { place, little: reader.little }
  } catch (error) {
    if (error instanceof EngineError) return undefined
    throw error
  }
}

/** False: there is no first element. */
function take(reader: CdrReader, steps: readonly Step[]): boolean {
  for (const step of steps) {
    if (step === 'first') {
      if (reader.u32() === 0) return false
    } else if ('skip' in step) reader.pass(...step.skip)
    else if ('text' in step) reader.pass(step.text, reader.u32())
    else if ('numbers' in step) reader.pass(step.numbers, reader.u32())
    else {
      const [count, over] = 'list' in step ? [reader.count(1), step.list] : step.repeat
      for (let place = 0; place < count; place += 1) take(reader, over)
    }
  }
  return true
}

type FieldsOf = (name: string) => readonly Field[]

function over(fields: readonly Field[], fieldsOf: FieldsOf): Step[] {
  return merged(fields.flatMap((field) => overField(field, fieldsOf)))
}

function overField(field: Field, fieldsOf: FieldsOf): Step[] {
  const { type, isArray, arrayLength } = field
  const size = SIZES[type]
  if (isArray && size) return [arrayLength === undefined ? { numbers: size } : { skip: [size, arrayLength] }]
  const one = size ? [{ skip: [size, 1] } as Step] : overOne(type, fieldsOf)
  if (!isArray) return one
  return [arrayLength === undefined ? { list: one } : { repeat: [arrayLength, one] }]
}

function overOne(type: string, fieldsOf: FieldsOf): Step[] {
  if (TIMES.includes(type) || DURATIONS.includes(type)) return [{ skip: [4, 2] }]
  if (type === 'string') return [{ text: 1 }]
  if (type === 'wstring') return [{ text: 4 }]
  const fields = fieldsOf(type)
  // DDS has no empty structures: an empty message is one byte.
  return fields.length > 0 ? over(fields, fieldsOf) : [{ skip: [1, 1] }]
}

/** Numbers of one size that follow each other are one step. */
function merged(steps: readonly Step[]): Step[] {
  const all: Step[] = []
  for (const step of steps) {
    const last = all.at(-1)
    if (isSkip(step) && last && isSkip(last) && last.skip[0] === step.skip[0]) {
      all[all.length - 1] = { skip: [step.skip[0], last.skip[1] + step.skip[1]] }
    } else {
      all.push(step)
    }
  }
  return all
}

function isSkip(step: Step): step is { skip: [size: number, count: number] } {
  return typeof step === 'object' && 'skip' in step
}

function isData(field: Field): boolean {
  return !field.isConstant
}

function isSingle(type: string): (field: Field) => boolean {
  return (field) => field.type === type && !field.isArray
}

function isStamp(field: Field): boolean {
  return field.name === 'stamp' && TIMES.includes(field.type) && !field.isArray
}
