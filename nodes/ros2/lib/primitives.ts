/** The primitive types of ROS messages: how each is read, checked and written. */
import type { CdrReader } from './reader'
import type { CdrWriter } from './writer'

export interface Primitive {
  /** Bytes of one; none where it varies, or is no single number. */
  size?: number
  numeric?: boolean
  /** Arrays of it are Buffers. */
  bytes?: boolean
  /** Needs a bigint. */
  wide?: boolean
  zero: unknown
  /** What a value has to be, for people. */
  expected: string
  read(from: CdrReader): unknown
  /** The value to write; undefined for what does not do. */
  check(value: unknown): unknown
  write(to: CdrWriter, value: never): void
}

type Access = 'Int8' | 'UInt8' | 'Int16' | 'UInt16' | 'Int32' | 'UInt32'

function whole(access: Access, size: 1 | 2 | 4, min: number, max: number): Primitive {
  // Two functions, not one with a choice: they run for every number of every message.
  const little = Buffer.prototype[size === 1 ? `read${access as 'Int8'}` : `read${access as 'Int16'}LE`]
  const big = Buffer.prototype[size === 1 ? `read${access as 'Int8'}` : `read${access as 'Int16'}BE`]
  const put = Buffer.prototype[size === 1 ? `write${access as 'Int8'}` : `write${access as 'Int16'}LE`]
  return {
    size,
    numeric: true,
    bytes: size === 1,
    zero: 0,
    expected: `a whole number from ${min} to ${max}`,
    read: (from) => (from.little ? little : big).call(from.buffer, from.place(size)),
    check(value) {
      const number = typeof value === 'bigint' ? Number(value) : value
      return Number.isInteger(number) && (number as number) >= min && (number as number) <= max ? number : undefined
    },
    write(to, value: number) {
      const place = to.place(size)
      put.call(to.buffer, value, place)
    },
  }
}

function wide(signed: boolean): Primitive {
  const [min, max] = signed ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n]
  return {
    size: 8,
    numeric: true,
    wide: true,
    zero: 0n,
    expected: `a whole number from ${min} to ${max}, as a bigint, as digits, or as a number below 2^53`,
    read(from) {
      const place = from.place(8)
      if (signed) return from.little ? from.buffer.readBigInt64LE(place) : from.buffer.readBigInt64BE(place)
      return from.little ? from.buffer.readBigUInt64LE(place) : from.buffer.readBigUInt64BE(place)
    },
    check(value) {
      const number = toBigInt(value)
      return number !== undefined && number >= min && number <= max ? number : undefined
    },
    write(to, value: bigint) {
      const place = to.place(8)
      if (signed) to.buffer.writeBigInt64LE(value, place)
      else to.buffer.writeBigUInt64LE(value, place)
    },
  }
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (Number.isSafeInteger(value)) return BigInt(value as number)
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined
}

function real(size: 4 | 8): Primitive {
  // What is no number, or without end, is the same in both.
  const holds = (value: number) => size === 8 || !Number.isFinite(value) || Number.isFinite(Math.fround(value))
  return {
    size,
    numeric: true,
    zero: 0,
    expected: size === 4 ? 'a number that a float of 32 bits holds' : 'a number',
    read(from) {
      const place = from.place(size)
      if (size === 4) return from.little ? from.buffer.readFloatLE(place) : from.buffer.readFloatBE(place)
      return from.little ? from.buffer.readDoubleLE(place) : from.buffer.readDoubleBE(place)
    },
    check: (value) => (typeof value === 'number' && holds(value) ? value : undefined),
    write(to, value: number) {
      const place = to.place(size)
      if (size === 4) to.buffer.writeFloatLE(value, place)
      else to.buffer.writeDoubleLE(value, place)
    },
  }
}

const bool: Primitive = {
  zero: false,
  expected: 'true or false',
  read: (from) => from.buffer[from.place(1)] !== 0,
  check: (value) => (typeof value === 'boolean' ? value : undefined),
  write: (to, value: boolean) => to.byte(value ? 1 : 0),
}

const string: Primitive = {
  zero: '',
  expected: 'a text',
  read(from) {
    // The length counts the zero at the end, which some leave out.
    const length = from.count(1)
    const bytes = from.bytes(length, 1)
    return bytes.toString('utf8', 0, bytes[length - 1] === 0 ? length - 1 : length)
  },
  check: (value) => (typeof value === 'string' ? value : undefined),
  write(to, value: string) {
    const bytes = Buffer.from(`${value}\0`, 'utf8')
    to.count(bytes.length)
    to.bytes(bytes, 1)
  },
}

/** Counted UTF-16 units, four bytes each, as Fast DDS writes them. */
const wstring: Primitive = {
  zero: '',
  expected: 'a text',
  read(from) {
    const length = from.count(4)
    const units: string[] = []
    for (let place = 0; place < length; place += 1) units.push(String.fromCharCode(from.u32()))
    return units.join('')
  },
  check: string.check,
  write(to, value: string) {
    to.count(value.length)
    for (let place = 0; place < value.length; place += 1) to.count(value.charCodeAt(place))
  },
}

/** A point in time or a length of it. A stamp may be `auto`: the time of writing. */
function stamp(isTime: boolean): Primitive {
  const { check: sec } = int32
  const { check: nanosec } = uint32
  return {
    zero: { sec: 0, nanosec: 0 },
    expected: `{sec, nanosec}${isTime ? " or 'auto'" : ''}`,
    read: (from) => ({ sec: int32.read(from), nanosec: uint32.read(from) }),
    check(value) {
      if (isTime && value === 'auto') return now()
      const given = (value ?? {}) as Record<string, unknown>
      const known = Object.keys(given).every((key) => key === 'sec' || key === 'nanosec')
      const checked = { sec: sec(given.sec ?? 0), nanosec: nanosec(given.nanosec ?? 0) }
      return known && checked.sec !== undefined && checked.nanosec !== undefined ? checked : undefined
    },
    write(to, value: { sec: never; nanosec: never }) {
      int32.write(to, value.sec)
      uint32.write(to, value.nanosec)
    },
  }
}

function now(): { sec: number; nanosec: number } {
  const ms = performance.timeOrigin + performance.now()
  const sec = Math.floor(ms / 1000)
  return { sec, nanosec: Math.floor((ms - sec * 1000) * 1e6) }
}

const int32 = whole('Int32', 4, -(2 ** 31), 2 ** 31 - 1)
const uint32 = whole('UInt32', 4, 0, 2 ** 32 - 1)
const int8 = whole('Int8', 1, -128, 127)
const uint8 = whole('UInt8', 1, 0, 255)

export const primitives: Record<string, Primitive> = {
  bool,
  byte: uint8,
  char: uint8,
  int8,
  uint8,
  int16: whole('Int16', 2, -32768, 32767),
  uint16: whole('UInt16', 2, 0, 65535),
  int32,
  uint32,
  int64: wide(true),
  uint64: wide(false),
  float32: real(4),
  float64: real(8),
  string,
  wstring,
  time: stamp(true),
  duration: stamp(false),
}
