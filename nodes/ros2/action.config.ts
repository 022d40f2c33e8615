import { choice, defineConfig, number, text } from '../shared/config'
import { action, actionType, context } from './fields'

export const actionConfig = defineConfig({
  type: 'millrace-ros2-action',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    action,
    actionType,
    /** Until the server takes the goal. */
    timeoutMs: number(5000, { min: 1, max: 86_400_000 }),
    /** What becomes of goals that are under way when the node is closed. */
    onClose: choice('cancel', ['cancel', 'leave']),
    int64: choice('bigint', ['bigint', 'string']),
  },
})
