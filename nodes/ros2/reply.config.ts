import { defineConfig, number, text } from '../shared/config'

export const replyConfig = defineConfig({
  type: 'millrace-ros2-reply',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
  },
})
