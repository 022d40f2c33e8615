import { choice, defineConfig, number, text } from '../shared/config'
import { action, actionType, context } from './fields'

export const goalsConfig = defineConfig({
  type: 'millrace-ros2-goals',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    action,
    actionType,
    int64: choice('bigint', ['bigint', 'string']),
  },
})
