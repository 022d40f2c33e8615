import { choice, defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { broker, plain } from './fields'

const CENTURY_S = 3_155_760_000

export const sendConfig = defineConfig({
  type: 'millrace-tasks-send',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    /** Blank: `msg.topic`. */
    task: plain,
    /** Blank: `default`. */
    queue: plain,
    output: choice('id', ['id', 'result']),
    priority: number(5, { min: 0, max: 9, whole: true }),
    countdown: number(0, { min: 0, max: CENTURY_S }),
    maxRetries: number(3, { min: 0, max: 65_535, whole: true }),
    retryDelay: number(1, { min: 0, max: CENTURY_S }),
    /** The longest that an attempt may take, in seconds; blank: no limit. */
    timeout: optionalNumber('', { min: 0.001, max: CENTURY_S }),
  },
})

export type SendConfig = Values<(typeof sendConfig)['fields']>
