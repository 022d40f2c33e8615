import { choice, defineConfig, number, text } from '../shared/config'
import { context, service, serviceType } from './fields'

export const callConfig = defineConfig({
  type: 'millrace-ros2-call',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    service,
    serviceType,
    timeoutMs: number(5000, { min: 1, max: 86_400_000 }),
    int64: choice('bigint', ['bigint', 'string']),
  },
})
