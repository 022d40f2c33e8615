import { defineConfig, number, text, type Values } from '../shared/config'
import { context, messageType, topic } from './fields'
import { qosFields } from './qos.config'

export const outConfig = defineConfig({
  type: 'millrace-ros2-out',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    topic,
    messageType,
    ...qosFields('default'),
  },
})

export type OutConfig = Values<(typeof outConfig)['fields']>
