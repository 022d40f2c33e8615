/** The list of columns that nodes of the word have. No import of Node.js: the editor bundles this file. */
import { type Field, list, Problem } from '../shared/config'

/** A row of the list. */
export interface ColumnRow {
  name: string
  type: string
  nullable: boolean
}

/** Empty: inferred from the first rows, and kept. */
export const columns: Field<ColumnRow[]> = list(columnRow, distinct)

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
