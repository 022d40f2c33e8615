import { defineEditor, mark, type PanelNode, problemOf, text } from '../shared/editor'
import { editRows } from '../shared/rows'
import { labelOf, looks, offerTopic, watchContext } from './editor'
import { syncConfig } from './sync.config'

interface Row {
  topic: string
  messageType: string
  qos: string
  required: boolean
  minPeriodMs: number | string | null
}

const label = (key: string, params?: object) => text(syncConfig, key, params)

/** Of the open panel. */
let rows: () => Row[] = () => []

export default defineEditor(
  syncConfig,
  { ...looks, inputs: 0, outputs: 2, paletteLabel: 'ros2 sync' },
  {
    example: 'ros2/synchronised-cameras',
    label: (node) => labelOf(node, 'ros2 sync'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.groups' : 'port.rejects'),
    oneditprepare,
    oneditsave(node) {
      node.topics = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  const view = watchContext()
  const list = {
    id: 'millrace-ros2-topics',
    addButton: label('button.addTopic'),
    draw(line: JQuery, row: Partial<Row>) {
      const [topic, type] = drawRow(line, row)
      offerTopic(topic, type, view)
    },
    read: readRow,
    check: checkRows,
  }
  rows = editRows<Row>(list, (node.topics as Row[] | undefined) ?? [])
}

function drawRow(container: JQuery, row: Partial<Row>): [topic: JQuery, type: JQuery] {
  const named = (name: string, key: string, placeholder: string, value: unknown) =>
    $('<input>', { type: 'text', class: `millrace-grow millrace-ros2-${name}`, placeholder })
      .attr('aria-label', label(key))
      .val(String(value ?? ''))
  const topic = named('topic', 'label.topic', label('tip.topic'), row.topic)
  const type = named('type', 'label.messageType', 'sensor_msgs/msg/Image', row.messageType)
  const choices = { sensor: label('option.sensor'), default: label('option.default'), latched: label('option.latched') }
  const qos = $('<select>', { class: 'millrace-grow' }).attr('aria-label', label('label.qos'))
  for (const [value, text] of Object.entries(choices)) qos.append($('<option>', { value, text }))
  qos.val(row.qos ?? 'sensor')
  const required = $('<input>', { type: 'checkbox' }).prop('checked', row.required ?? true)
  const period = $('<input>', { type: 'text', class: 'millrace-short', placeholder: label('tip.period') })
    .attr({ 'aria-label': label('label.period'), title: label('label.period') })
    .val(String(row.minPeriodMs ?? ''))
  const needed = $('<label>').append(required, $('<span>').text(label('label.required')))
  $('<div>', { class: 'millrace-row' }).append(topic, type).appendTo(container)
  const rest = $('<div>', { class: 'millrace-row' }).append(needed, period)
  $('<div>', { class: 'millrace-row millrace-wraps' }).append(qos, rest).appendTo(container)
  return [topic, type]
}

function readRow(line: JQuery): Row {
  const typed = (selector: string) => String(line.find(selector).val() ?? '').trim()
  return {
    topic: typed('.millrace-ros2-topic'),
    messageType: typed('.millrace-ros2-type'),
    qos: typed('select'),
    required: line.find('[type=checkbox]').is(':checked'),
    minPeriodMs: typed('.millrace-short'),
  }
}

/** Says at the row, and under the list, what Node-RED's own check of the property would only flag. */
function checkRows(all: Row[], lines: JQuery[]): string | null {
  const { topics } = syncConfig.fields
  const fine = { topic: '/any', messageType: 'any/Any' }
  lines.forEach((line, place) => {
    const row = all[place]
    const same = all.filter(({ topic }) => topic === row?.topic).map(({ topic }) => ({ ...fine, topic }))
    const { messageType, minPeriodMs } = row ?? {}
    const problem = (rows: object[]) => problemOf(syncConfig, () => topics.read(rows), rows)
    const period = problem([{ ...fine, minPeriodMs }])
    mark(line.find('.millrace-ros2-topic'), problem(same))
    mark(line.find('.millrace-ros2-type'), problem([{ ...fine, messageType }]))
    mark(line.find('.millrace-short'), period)
    if (period === null) line.find('.millrace-short').attr('title', label('label.period'))
  })
  return problemOf(syncConfig, () => topics.read(all), all)
}
