import { choice, defineConfig, number, parsed, text, type Values } from '../shared/config'
import { columns } from './columns'

export const batchConfig = defineConfig({
  type: 'millrace-arrow-batch',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    columns,
    unknown: choice('error', ['error', 'ignore']),
    /** The property of the message with a row or a list of rows. */
    rowsFrom: parsed('payload', (typed) => typed),
    maxRows: number(10_000, { min: 1, max: 10_000_000, whole: true }),
    maxKb: number(8192, { min: 1, max: 1_048_576 }),
    maxMs: number(1000, { min: 1, max: 2 ** 31 - 1 }),
    compression: choice('none', ['none', 'lz4', 'zstd']),
  },
})

export type BatchConfig = Values<(typeof batchConfig)['fields']>
