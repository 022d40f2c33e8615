/** A message's `header` and its stamp. */
import { headerStamp } from './lib/codec'
import type { Definition } from './lib/definitions'

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
