/** A message's `header` and its stamp. */
import { headerStamp } from './lib/codec'
import type { Definition } from './lib/definitions'

export const HEADER = 'std_msgs/msg/Header'

/** Behind the header of the encoding; the seconds, then the nanoseconds. */
const STAMP = 4
const SECOND = 1_000_000_000n

/** Whether a type begins with its `std_msgs/Header`, has it further inside, or not at all. */
export type HeaderPlace = 'first' | 'inside' | 'none'

export function headerPlace(definitions: readonly Definition[]): HeaderPlace {
  const fields = definitions[0]?.definitions.filter((field) => !field.isConstant) ?? []
  const place = fields.findIndex(
    ({ name, type, isArray }) => name === 'header' && type === 'std_msgs/Header' && !isArray,
  )
  return place < 0 ? 'none' : place === 0 ? 'first' : 'inside'
}

/** The stamp of a message that begins with its header, ns since the epoch; undefined where the message is too short. */
export function stampAt(cdr: Buffer): string | undefined {
  return headerStamp(cdr)?.toString()
}

/** A copy of such a message with its stamp moved. */
export function shifted(cdr: Buffer, byNs: bigint): Buffer {
  const stamp = stampAt(cdr)
  if (stamp === undefined) return cdr
  const moved = stampOfNs(BigInt(stamp) + byNs)
  const copy = Buffer.from(cdr)
  const isLittle = ((cdr[1] ?? 0) & 1) === 1
  if (isLittle) {
    copy.writeInt32LE(moved.sec, STAMP)
    copy.writeUInt32LE(moved.nanosec, STAMP + 4)
  } else {
    copy.writeInt32BE(moved.sec, STAMP)
    copy.writeUInt32BE(moved.nanosec, STAMP + 4)
  }
  return copy
}

/** A time as ROS has it. What its 32 bits of seconds do not hold is held at their end. */
export function stampOfNs(ns: bigint): { sec: number; nanosec: number } {
  const nanosec = ((ns % SECOND) + SECOND) % SECOND
  const sec = Number((ns - nanosec) / SECOND)
  return { sec: Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, sec)), nanosec: Number(nanosec) }
}
