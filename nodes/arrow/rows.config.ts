import { choice, defineConfig, number, text, type Values } from '../shared/config'

export const rowsConfig = defineConfig({
  type: 'millrace-arrow-rows',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    output: choice('rows', ['rows', 'columns', 'ndjson', 'csv']),
    /** One message, or one a row. */
    messages: choice('one', ['one', 'each']),
    int64: choice('bigint', ['bigint', 'string', 'number']),
    times: choice('iso', ['iso', 'date']),
    maxMb: number(1024, { min: 1, max: 65_536 }),
  },
})

export type RowsConfig = Values<(typeof rowsConfig)['fields']>
