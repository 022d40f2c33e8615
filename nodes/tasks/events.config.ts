import { defineConfig, type Field, number, Problem, parsed, text, type Values } from '../shared/config'
import { broker, names } from './fields'
import { kinds } from './kinds'

/** Blank: all. */
const someKinds: Field<string[]> = parsed('', (typed) => {
  const chosen = names.read(typed)
  for (const kind of chosen) if (!kinds.includes(kind)) throw new Problem('config.kind', { kind })
  return chosen
})

export const eventsConfig = defineConfig({
  type: 'millrace-tasks-events',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    kinds: someKinds,
    /** Names or patterns; blank: all. */
    tasks: names,
    queues: names,
  },
})

export type EventsConfig = Values<(typeof eventsConfig)['fields']>
