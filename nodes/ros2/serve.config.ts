import { choice, defineConfig, number, text } from '../shared/config'
import { context, service, serviceType } from './fields'

export const serveConfig = defineConfig({
  type: 'millrace-ros2-serve',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    service,
    serviceType,
    /** A request that is not answered by then gets no response. */
    timeoutMs: number(10_000, { min: 1, max: 86_400_000 }),
    int64: choice('bigint', ['bigint', 'string']),
  },
})
