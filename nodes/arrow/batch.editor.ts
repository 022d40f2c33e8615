import { defineEditor, mark, type PanelNode, problemOf, text } from '../shared/editor'
import { batchConfig, type ColumnRow } from './batch.config'
import { looks } from './editor'

type Row = Partial<ColumnRow>

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

const label = (key: string, params?: object) => text(batchConfig, key, params)

export default defineEditor(
  batchConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'arrow batch' },
  {
    label: (node) => node.name || 'arrow batch',
    inputLabels: () => label('port.rows'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.batches' : 'port.rejects'),
    oneditprepare,
    oneditsave(node) {
      node.columns = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  $('#node-input-rowsFrom').typedInput({ types: ['msg'] })
  const list = $('#millrace-arrow-columns')
  list.editableList({
    addItem: (container, _index, row: Row) => addRow(container, row),
    addButton: label('button.addColumn'),
    height: 'auto',
    removable: true,
    sortable: true,
    removeItem: () => checkRows(),
  })
  for (const row of (node.columns as ColumnRow[] | undefined) ?? []) list.editableList('addItem', row)
  checkRows()
}

function addRow(container: JQuery, row: Row): void {
  const input = (key: string, value: string | undefined) =>
    $('<input>', { type: 'text', class: `millrace-grow millrace-arrow-${key}`, placeholder: label(`label.${key}`) })
      .attr('aria-label', label(`label.${key}`))
      .val(value ?? '')
  const name = input('column', row.name)
  const type = input('type', row.type)
  const nullable = $('<input>', { type: 'checkbox' }).prop('checked', row.nullable ?? true)
  const nulls = $('<label>').append(nullable, $('<span>').text(label('label.nullable')))
  const line = $('<div>', { class: 'millrace-row' }).append(name, type, nulls).appendTo(container)
  type.autoComplete({
    search: (typed, done) => done(TYPES.filter((one) => one.includes(typed)).map((value) => ({ value, label: value }))),
  })
  line.on('change input keyup', 'input', checkRows)
  if (row.name === undefined) name.trigger('focus')
  checkRows()
}

function lines(): JQuery[] {
  return $('#millrace-arrow-columns')
    .editableList('items')
    .toArray()
    .map((item: HTMLElement) => $(item))
}

function rows(): ColumnRow[] {
  return lines().map((line) => ({
    name: String(line.find('.millrace-arrow-column').val() ?? '').trim(),
    type: String(line.find('.millrace-arrow-type').val() ?? '').trim(),
    nullable: line.find('[type=checkbox]').is(':checked'),
  }))
}

/** Says at the row, and under the list, what Node-RED's own check of the property would only flag. */
function checkRows(): void {
  const all = rows()
  const { columns } = batchConfig.fields
  lines().forEach((line, place) => {
    const row = all[place]
    const same = all.filter(({ name }) => name === row?.name).map(({ name }) => ({ name, type: 'any' }))
    mark(
      line.find('.millrace-arrow-column'),
      problemOf(batchConfig, () => columns.read(same), same),
    )
    mark(
      line.find('.millrace-arrow-type'),
      problemOf(batchConfig, () => columns.read([{ name: 'any', type: row?.type }]), row?.type),
    )
  })
  const problem = problemOf(batchConfig, () => columns.read(all), all)
  $('#millrace-arrow-columns-problem')
    .text(problem ?? '')
    .prop('hidden', problem === null)
}
