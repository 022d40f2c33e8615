/** Where a type has its `std_msgs/Header`. */
import type { Definition } from './lib/definitions'

/** Whether it is the first field, another one, or there is none. */
export type HeaderPlace = 'first' | 'inside' | 'none'

export function headerPlace(definitions: readonly Definition[]): HeaderPlace {
  const fields = definitions[0]?.definitions.filter((field) => !field.isConstant) ?? []
  const place = fields.findIndex(
    ({ name, type, isArray }) => name === 'header' && type === 'std_msgs/Header' && !isArray,
  )
  return place < 0 ? 'none' : place === 0 ? 'first' : 'inside'
}
