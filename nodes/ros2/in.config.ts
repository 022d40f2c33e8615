import { defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { context, messageType, topic } from './fields'
import { outputFields } from './output.config'
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
    ...outputFields,
    /** Blank: every message. */
    maxPerSecond: optionalNumber('', { min: 0.001, max: 1_000_000 }),
  },
})

export type InConfig = Values<(typeof inConfig)['fields']>
