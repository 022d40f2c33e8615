/** The list of columns, edited in place. Bundled into the panels that have one; runs in the browser. */
import type { ConfigSpec, Fields } from '../shared/config'
import { mark, problemOf, text } from '../shared/editor'
import { editRows } from '../shared/rows'
import { type ColumnRow, columns } from './columns'

/** Offered while a type is typed; any other may be typed as well. */
const TYPES = [
  'bool',
  'int32',
  'int64',
  'float32',
  'float64',
  'decimal(10, 2)',
  'utf8',
  'binary',
  'date32',
  'time(ms)',
  'timestamp(ms, UTC)',
  'timestamp(us, UTC)',
  'list<float64>',
  'struct<x: float64, y: float64>',
  'map<utf8, utf8>',
  'dictionary<utf8>',
]

/** Shows the saved columns. The function that it returns reads them again. */
export function editColumns(config: Pick<ConfigSpec<Fields>, 'type'>, saved: unknown): () => ColumnRow[] {
  const label = (key: string) => text(config, key)
  const problem = (rows: unknown) => problemOf(config, () => columns.read(rows), rows)

  function draw(container: JQuery, row: Partial<ColumnRow>): void {
    const input = (key: string, value: string | undefined) =>
      $('<input>', { type: 'text', class: `millrace-grow millrace-arrow-${key}`, placeholder: label(`label.${key}`) })
        .attr('aria-label', label(`label.${key}`))
        .val(value ?? '')
    const type = input('type', row.type)
    const nullable = $('<input>', { type: 'checkbox' }).prop('checked', row.nullable ?? true)
    const nulls = $('<label>').append(nullable, $('<span>').text(label('label.nullable')))
    $('<div>', { class: 'millrace-row' }).append(input('column', row.name), type, nulls).appendTo(container)
    type.autoComplete({
      search: (typed, done) =>
        done(TYPES.filter((one) => one.includes(typed)).map((value) => ({ value, label: value }))),
    })
  }

  function read(line: JQuery): ColumnRow {
    const value = (key: string) => String(line.find(`.millrace-arrow-${key}`).val() ?? '').trim()
    return { name: value('column'), type: value('type'), nullable: line.find('[type=checkbox]').is(':checked') }
  }

  function check(rows: ColumnRow[], lines: JQuery[]): string | null {
    lines.forEach((line, place) => {
      const row = rows[place]
      const same = rows.filter(({ name }) => name === row?.name).map(({ name }) => ({ name, type: 'any' }))
      mark(line.find('.millrace-arrow-column'), problem(same))
      mark(line.find('.millrace-arrow-type'), problem([{ name: 'any', type: row?.type }]))
    })
    return problem(rows)
  }

  const list = { id: 'millrace-arrow-columns', addButton: label('button.addColumn'), draw, read, check }
  return editRows<ColumnRow>(list, (saved as ColumnRow[] | undefined) ?? [])
}
