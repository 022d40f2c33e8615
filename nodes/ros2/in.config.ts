import { choice, defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { context, messageType, topic } from './fields'
import { qosFields } from './qos.config'

export const inConfig = defineConfig({
  type: 'millrace-ros2-in',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    topic,
    messageType,
    // Of all, this one hears every publisher.
    ...qosFields('sensor'),
    output: choice('object', ['object', 'lazy', 'raw', 'header']),
    int64: choice('bigint', ['bigint', 'string']),
    arrays: choice('numbers', ['numbers', 'buffers']),
    /** Blank: every message. */
    maxPerSecond: optionalNumber('', { min: 0.001, max: 1_000_000 }),
  },
})

export type InConfig = Values<(typeof inConfig)['fields']>
