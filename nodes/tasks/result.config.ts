import { choice, defineConfig, number, optionalNumber, text, type Values, verbatim } from '../shared/config'
import { broker } from './fields'

export const resultConfig = defineConfig({
  type: 'millrace-tasks-result',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    /** The property of msg with the id. */
    from: verbatim('taskId'),
    mode: choice('wait', ['wait', 'now']),
    /** The longest wait, in seconds; blank: without end. */
    timeout: optionalNumber(30, { min: 0.001, max: 2_000_000 }),
  },
})

export type ResultConfig = Values<(typeof resultConfig)['fields']>
