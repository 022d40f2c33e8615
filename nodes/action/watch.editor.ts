import { defineEditor, mark, type PanelNode, problemOf, text } from '../shared/editor'
import { editRows } from '../shared/rows'
import { looks } from './editor'
import { alertTypes, ruleKinds, severities } from './lib/rules'
import { watchConfig } from './watch.config'

type Row = Record<string, unknown>

/** Of the open panel. */
let rows: () => Row[] = () => []

const label = (key: string, params?: object) => text(watchConfig, key, params)

export default defineEditor(
  watchConfig,
  { ...looks, inputs: 1, outputs: 3, paletteLabel: 'action watch' },
  {
    example: 'action/gas-alarm',
    label: (node) => node.name || 'action watch',
    inputLabels: () => label('port.measurements'),
    outputLabels: (_node, port) => label(['port.updates', 'port.alerts', 'port.clears'][port] as string),
    oneditprepare,
    oneditsave(node) {
      node.rules = rows()
    },
  },
)

/** What the named kinds of alerts begin with. */
const beginnings: Record<string, Row> = {
  Concentration: { kind: 'above', property: 'payload.concentration_ppm', limit: 1000 },
  Amplitude: { kind: 'above', property: 'payload.peak_amplitude', limit: 0.8 },
  FrequencyDeviation: { kind: 'deviation', property: 'payload.peak_frequency' },
  DataTimeout: { kind: 'silence', property: '', limit: 30_000 },
}

/** Fields that only some kinds of rules have. */
const only: Record<string, readonly string[]> = {
  property: ['above', 'below', 'outside', 'rate', 'deviation', 'jsonata'],
  limit: ['above', 'below', 'outside', 'rate', 'deviation', 'silence'],
  low: ['outside'],
  reference: ['deviation'],
  hysteresis: ['above', 'below', 'outside', 'rate', 'deviation'],
  minDurationMs: ['above', 'below', 'outside', 'rate', 'deviation', 'jsonata'],
}

function oneditprepare(node: PanelNode): void {
  $('#node-input-value').typedInput({ types: ['msg', 'jsonata'], typeField: '#node-input-valueType' })
  $('#node-input-source').typedInput({ types: ['msg'] })
  const list = { id: 'millrace-action-rules', addButton: label('button.addRule'), draw, read, check }
  rows = editRows<Row>(list, (node.rules as Row[] | undefined) ?? [])
}

function draw(container: JQuery, row: Row): void {
  const kind = choices('kind', ruleKinds, row.kind ?? 'above')
  const alertType = choices('alertType', alertTypes, row.alertType ?? 'Custom')
  const more = $('<details>').append(
    $('<summary>').text(label('label.ruleMore')),
    line(short('hysteresis', row)),
    line(short('minDurationMs', row)),
    line(short('cooldownMs', row)),
    line(short('remindMs', row)),
    line(wide('source', row)),
    line(wide('message', row)),
  )
  container.append(
    line(wide('name', row), choices('severity', severities, row.severity ?? 'warning')),
    line(alertType, kind),
    line(wide('property', row)),
    line(short('low', row)),
    line(short('limit', row)),
    line(short('reference', row)),
    more,
  )
  const showFields = () => {
    const chosen = String(kind.val())
    for (const [name, kinds] of Object.entries(only)) {
      container.find(`[data-field=${name}]`).closest('.millrace-field').prop('hidden', !kinds.includes(chosen))
    }
    container
      .find('[data-field=property]')
      .attr('placeholder', label(`tip.property.${chosen === 'jsonata' ? 'jsonata' : 'msg'}`))
    container.find('[data-label=property]').text(label(`rule.${chosen === 'jsonata' ? 'expression' : 'property'}`))
    container.find('[data-label=limit]').text(label(`limit.${limitName(chosen)}`))
  }
  alertType.on('change', () => {
    const name = container.find('[data-field=name]')
    if (name.val() === '') name.val(String(alertType.val()))
    for (const [field, value] of Object.entries(beginnings[String(alertType.val())] ?? {})) {
      container.find(`[data-field=${field}]`).val(String(value))
    }
    showFields()
  })
  kind.on('change', showFields)
  showFields()
}

function limitName(kind: string): string {
  return kind === 'outside' || kind === 'rate' || kind === 'deviation' || kind === 'silence' ? kind : 'plain'
}

function line(...parts: JQuery[]): JQuery {
  return $('<div>', { class: 'millrace-row' }).append(...parts)
}

function short(name: string, row: Row): JQuery {
  return field(name, row, 'millrace-short')
}

function wide(name: string, row: Row): JQuery {
  return field(name, row, 'millrace-grow').addClass('millrace-grow')
}

let inputs = 0

/** An input with its label. */
function field(name: string, row: Row, size: string): JQuery {
  inputs += 1
  const id = `millrace-rule-${inputs}`
  const input = $('<input>', { type: 'text', id, class: size, 'data-field': name }).val(String(row[name] ?? ''))
  const said = $('<label>', { for: id, 'data-label': name }).text(label(`rule.${name}`))
  return $('<span>', { class: 'millrace-field' }).append(said, input)
}

function choices(name: string, values: readonly string[], chosen: unknown): JQuery {
  const options = values.map((value) =>
    $('<option>')
      .val(value)
      .text(label(`${name}.${value}`)),
  )
  return $('<select>', { 'data-field': name, class: 'millrace-grow', 'aria-label': label(`rule.${name}`) })
    .append(...options)
    .val(String(chosen))
}

function read(line: JQuery): Row {
  const fields = line.find('[data-field]').toArray() as HTMLInputElement[]
  return Object.fromEntries(fields.map((input) => [input.dataset.field, String($(input).val() ?? '').trim()]))
}

/** Says under the list what is wrong, and marks the row. */
function check(all: Row[], lines: JQuery[]): string | null {
  const { rules } = watchConfig.fields
  lines.forEach((item, place) => {
    const same = all.filter(({ name }) => name === all[place]?.name)
    const problem = problemOf(watchConfig, () => rules.read([all[place]]), all[place])
    const twice = problem ?? (same.length > 1 ? problemOf(watchConfig, () => rules.read(same), same) : null)
    mark(item.find('[data-field=name]'), twice)
  })
  return problemOf(watchConfig, () => rules.read(all), all)
}
