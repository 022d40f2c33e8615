/** Definitions as recordings carry them: one text with everything that a message contains. */
import type * as Rosmsg from '@foxglove/rosmsg'
import { optional } from '../../shared/optional'
import { type Definition, Definitions, type Field } from './definitions'

const RULE = /^={5,}\s*\r?\nMSG:[ \t]*(\S+)[ \t]*\r?$/gm
/** Parsed definitions have them as primitives; in a text they are messages. */
const TIMES = { time: 'builtin_interfaces/Time', duration: 'builtin_interfaces/Duration' }
const TIME_FIELDS = [
  { name: 'sec', type: 'int32' },
  { name: 'nanosec', type: 'uint32' },
]

/** The definitions in a text of the form `ros2msg`. What it leaves out is looked for among the standard ones. */
export function parseSchema(type: string, text: string): Definition[] {
  const [root = '', ...parts] = text.split(RULE)
  const messages: Record<string, string> = { [type]: root }
  for (let place = 0; place < parts.length; place += 2) messages[parts[place] as string] = parts[place + 1] ?? ''
  return new Definitions({ messages, folders: [] }).resolve(type)
}

/** The text of definitions, the message itself first. */
export function writeSchema(definitions: readonly Definition[]): string {
  const { stringify } = optional<typeof Rosmsg>('@foxglove/rosmsg', 'the types of ROS messages')
  const used = new Set<string>()
  const written = definitions.map(({ name, definitions: fields }) => ({
    ...(name !== undefined && { name }),
    definitions: fields.map((field): Field => {
      const type = TIMES[field.type as keyof typeof TIMES]
      if (!type) return field
      used.add(type)
      return { ...field, type, isComplex: true }
    }),
  }))
  const times = [...used].map((name) => ({ name, definitions: TIME_FIELDS }))
  return stringify([...written, ...times] as Parameters<typeof stringify>[0])
}
