import { defineConfig, number, text, type Values } from '../shared/config'
import { topicFields } from './topic.config'

export const outConfig = defineConfig({
  type: 'millrace-ros2-out',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    ...topicFields('default'),
  },
})

export type OutConfig = Values<(typeof outConfig)['fields']>
