import { Turns } from '../../shared/turns'
import type { Row } from './packer'
import { INFER_MAX, Schema } from './schema'

/**
 * The schema of rows that come without one. The first rows tell it, and it stays; only a column that was always null gets
 * its type later, from the first rows with a value there.
 */
export class Inferred {
  private schema: Schema | undefined
  private readonly turns = new Turns()

  get known(): Schema | undefined {
    return this.schema
  }

  /** Rejects for rows that tell none, and leaves it to others; so do rows without a column. */
  of(rows: readonly Row[]): Promise<Schema> {
    return this.turns.take(async () => {
      const schema = this.schema ? await filled(this.schema, rows) : await Schema.infer(rows)
      if (schema.columns.length > 0) this.schema = schema
      return schema
    })
  }
}

async function filled(schema: Schema, rows: readonly Row[]): Promise<Schema> {
  const open = schema.columns.filter(({ type }) => type === 'null').map(({ name }) => name)
  if (open.length === 0) return schema
  const first = rows.slice(0, INFER_MAX)
  const telling = first.filter((row) => open.some((name) => (row?.[name] ?? null) !== null))
  if (telling.length === 0) return schema
  const found = await Schema.infer(telling.map((row) => Object.fromEntries(open.map((name) => [name, row[name]]))))
  const types = new Map(found.columns.map(({ name, type }) => [name, type]))
  const columns = schema.columns.map((column) => ({ ...column, type: types.get(column.name) ?? column.type }))
  return new Schema(Schema.of(columns).handle, true)
}
