import { choice, defineConfig, list, number, Problem, parsed, text, type Values } from '../shared/config'

/** A row of the list of columns. */
export interface ColumnRow {
  name: string
  type: string
  nullable: boolean
}

function columnRow(saved: unknown): ColumnRow {
  const { name, type, nullable } = (saved ?? {}) as Record<string, unknown>
  if (typeof name !== 'string' || name === '') throw new Problem('config.columnEmpty')
  if (typeof type !== 'string' || type.trim() === '') throw new Problem('config.typeEmpty', { column: name })
  return { name, type: type.trim(), nullable: nullable !== false }
}

function distinct(rows: ColumnRow[]): void {
  const seen = new Set<string>()
  for (const { name } of rows) {
    if (seen.has(name)) throw new Problem('config.columnTwice', { column: name })
    seen.add(name)
  }
}

export const batchConfig = defineConfig({
  type: 'millrace-arrow-batch',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Empty: inferred from the first batch, and kept. */
    columns: list(columnRow, distinct),
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
