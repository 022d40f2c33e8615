import { choice, defineConfig, number, text, type Values } from '../shared/config'
import { plain } from './fields'

export const brokerConfig = defineConfig({
  type: 'millrace-tasks-broker',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Below the user directory; blank: `millrace/tasks`. */
    path: plain,
    durability: choice('bounded', ['bounded', 'fsync']),
    /** So long results are kept, in seconds. */
    resultTtl: number(86_400, { min: 0, max: 3_155_760_000 }),
  },
})

export type BrokerConfig = Values<(typeof brokerConfig)['fields']>
