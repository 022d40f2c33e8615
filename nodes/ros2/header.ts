/** A message's `header` and its stamp. */
import type { Definition } from './lib/definitions'

/** Behind the header of the encoding; the seconds, then the nanoseconds. */
const STAMP = 4
const STAMP_END = STAMP + 8

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
  if (cdr.length < STAMP_END) return undefined
  const isLittle = ((cdr[1] ?? 0) & 1) === 1
  const sec = isLittle ? cdr.readInt32LE(STAMP) : cdr.readInt32BE(STAMP)
  const nanosec = isLittle ? cdr.readUInt32LE(STAMP + 4) : cdr.readUInt32BE(STAMP + 4)
  return String(BigInt(sec) * 1_000_000_000n + BigInt(nanosec))
}
