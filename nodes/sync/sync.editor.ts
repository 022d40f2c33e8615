import { defineEditor, lookup, mark, offer, type PanelNode, problemOf, text } from '../shared/editor'
import { editRows } from '../shared/rows'
import { syncConfig } from './sync.config'

type Row = { topic: string; required: boolean; minPeriodMs: number | string | null }

/** Of the open panel. */
let rows: () => Row[] = () => []

const label = (key: string, params?: object) => text(syncConfig, key, params)

export default defineEditor(
  syncConfig,
  {
    category: 'millrace sync',
    color: '#a3c4bc',
    icon: 'sync.svg',
    inputs: 1,
    outputs: 2,
    paletteLabel: 'sync',
  },
  {
    example: 'sync/two-sensors',
    label: (node) => node.name || 'sync',
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.groups' : 'port.rejects'),
    oneditprepare,
    oneditsave(node) {
      node.topics = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  const types = {
    auto: { value: 'auto', label: label('option.stampAuto'), hasValue: false },
    arrival: { value: 'arrival', label: label('option.stampArrival'), hasValue: false },
  }
  $('#node-input-topicFrom').typedInput({ types: ['msg', 'jsonata'], typeField: '#node-input-topicFromType' })
  $('#node-input-stampFrom').typedInput({
    types: [types.auto, 'msg', 'jsonata', types.arrival],
    typeField: '#node-input-stampFromType',
  })
  $('#node-input-stampFromType').on('change', showUnit)
  $('#node-input-stampFrom').on('change', showUnit)
  showUnit()

  const seen = lookup<string>(syncConfig, node.id, 'topics')
  const list = {
    id: 'millrace-sync-topics',
    addButton: label('button.addTopic'),
    draw: (line: JQuery, row: Partial<Row>) => drawRow(line, row, seen),
    read: readRow,
    check: checkRows,
  }
  rows = editRows<Row>(list, (node.topics as Row[] | undefined) ?? [])
}

/** Where the message's time is the arrival there is no unit to choose. */
function showUnit(): void {
  $('.millrace-sync-unit').toggle($('#node-input-stampFromType').val() !== 'arrival')
}

function drawRow(container: JQuery, row: Partial<Row>, seen: Promise<string[]>): void {
  const topic = $('<input>', { type: 'text', class: 'millrace-grow', placeholder: label('tip.topic') })
    .attr('aria-label', label('label.topic'))
    .val(row.topic ?? '')
  const required = $('<input>', { type: 'checkbox' }).prop('checked', row.required ?? true)
  const period = $('<input>', { type: 'text', class: 'millrace-short', placeholder: label('tip.period') })
    .attr({ 'aria-label': label('label.period'), title: label('label.period') })
    .val(row.minPeriodMs ?? '')
  const needed = $('<label>').append(required, $('<span>').text(label('label.required')))
  $('<div>', { class: 'millrace-row' }).append(topic, needed, period).appendTo(container)
  offer(topic, () => seen)
}

function readRow(line: JQuery): Row {
  return {
    topic: String(line.find('.millrace-grow').val() ?? '').trim(),
    required: line.find('[type=checkbox]').is(':checked'),
    minPeriodMs: String(line.find('.millrace-short').val() ?? '').trim(),
  }
}

/** Says at the row, and under the list, what Node-RED's own check of the property would only flag. */
function checkRows(all: Row[], lines: JQuery[]): string | null {
  const { topics } = syncConfig.fields
  lines.forEach((line, place) => {
    const row = all[place]
    const same = all.filter(({ topic }) => topic === row?.topic).map(({ topic }) => ({ topic }))
    const name = problemOf(syncConfig, () => topics.read(same), same)
    const period = problemOf(syncConfig, () => topics.read([{ topic: 'any', minPeriodMs: row?.minPeriodMs }]), row)
    mark(line.find('.millrace-grow'), name)
    mark(line.find('.millrace-short'), period)
    if (period === null) line.find('.millrace-short').attr('title', label('label.period'))
  })
  $('.millrace-sync-learn').toggle(all.length === 0)
  return problemOf(syncConfig, () => topics.read(all), all)
}
