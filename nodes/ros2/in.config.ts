import { defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { outputFields } from './output.config'
import { topicFields } from './topic.config'

export const inConfig = defineConfig({
  type: 'millrace-ros2-in',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    // Of all, this one hears every publisher.
    ...topicFields('sensor'),
    ...outputFields,
    /** Blank: every message. */
    maxPerSecond: optionalNumber('', { min: 0.001, max: 1_000_000 }),
  },
})

export type InConfig = Values<(typeof inConfig)['fields']>
