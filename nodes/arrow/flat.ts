/** Rows of one level, for CSV: they all have the same columns. */
import { EngineError, quote } from '../shared/errors'
import type { Column, Row } from './lib'
import { parseType, type Type } from './lib/type'

interface Leaf {
  column: string
  /** The names that lead to it. */
  way: readonly string[]
}

/** Makes them flat: fields of structs become columns `a.b`, lists and maps are JSON. Throws where two columns become one. */
export function flattener(columns: readonly Pick<Column, 'name' | 'type'>[]): (row: Row) => Row {
  const leaves = columns.flatMap(({ name, type }) => leavesOf(parseType(type), [name]))
  const names = new Set<string>()
  for (const { column } of leaves) {
    if (names.has(column)) {
      throw new EngineError(
        'CONVERSION',
        `flat rows would have the column ${quote(column)} twice; rename one, or take rows`,
      )
    }
    names.add(column)
  }
  return (row) => Object.fromEntries(leaves.map(({ column, way }) => [column, cell(at(row, way))]))
}

function leavesOf({ word, children }: Type, way: readonly string[]): Leaf[] {
  if (word !== 'struct') return [{ column: way.join('.'), way }]
  return children.flatMap(({ name, type }) => leavesOf(type, [...way, name]))
}

/** In a struct that is null all fields are. */
function at(row: Row, way: readonly string[]): unknown {
  return way.reduce<unknown>((value, name) => (value === null ? null : (value as Row)[name]), row)
}

function cell(value: unknown): unknown {
  return value !== null && typeof value === 'object' ? JSON.stringify(value, notFinite) : value
}

/** JSON would make nulls of them. */
function notFinite(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
