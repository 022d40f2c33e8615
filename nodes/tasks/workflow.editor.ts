import { defineEditor, mark, type PanelNode, problemOf, text } from '../shared/editor'
import { editRows } from '../shared/rows'
import { looks, offerQueues } from './editor'
import { argsTypes, optionsOf, spreads, workflowConfig } from './workflow.config'

type Row = Record<string, unknown>

/** Of the open panel. */
let rows: () => Row[] = () => []

const label = (key: string, params?: object) => text(workflowConfig, key, params)

export default defineEditor(
  workflowConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'tasks workflow' },
  {
    example: 'tasks/chain',
    label: (node) => String(node.name || 'tasks workflow'),
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.sent' : 'port.progress'),
    oneditprepare,
    oneditsave(node) {
      node.steps = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  const list = { id: 'millrace-tasks-steps', addButton: label('button.addStep'), draw, read, check }
  rows = editRows<Row>(list, (node.steps as Row[] | undefined) ?? [])
  offerQueues($('#node-input-callbackQueue'))
  $('#node-input-shape').on('change', showShape)
  showShape()
}

/** What a workflow of the message has, it has by itself. */
function showShape(): void {
  const shape = $('#node-input-shape').val()
  $('.millrace-tasks-own').toggle(shape !== 'message')
  $('.millrace-tasks-chord').toggle(shape === 'chord')
}

function draw(line: JQuery, row: Row): void {
  const task = input('task', 'millrace-grow', row.task)
  const queue = input('queue', 'millrace-grow', row.queue)
  const isFirst = $('#millrace-tasks-steps').editableList('length') <= 1
  const args = $('<input>', { type: 'text', class: 'millrace-tasks-args' }).attr('aria-label', label('label.args'))
  const spread = $('<select>', { class: 'millrace-tasks-spread' }).attr('aria-label', label('label.spread'))
  for (const value of spreads) spread.append($('<option>', { value }).text(label(`option.${value}`)))
  spread.val(String(row.spread ?? 'once'))
  const size = input('size', 'millrace-short', row.size ?? 10)
  const immutable = $('<input>', { type: 'checkbox' }).prop('checked', row.immutable === true)
  const alone = $('<label>').append(immutable, $('<span>').text(label('label.immutable')))
  const options = input('options', 'millrace-grow', row.options)
  const more = $('<details>').append(
    $('<summary>').text(label('label.stepMore')),
    $('<div>', { class: 'millrace-row' }).append(alone),
    $('<div>', { class: 'millrace-row' }).append(options),
  )
  more.prop('open', Boolean(row.options || row.immutable))
  const cell = $('<div>', { class: 'millrace-grow millrace-tasks-value' }).append(args)
  line.append(
    $('<div>', { class: 'millrace-row' }).append(task, queue),
    $('<div>', { class: 'millrace-row' }).append(cell, spread, size),
    more,
  )
  const none = { value: 'none', label: label('option.none'), hasValue: false }
  args.typedInput({ types: [none, ...argsTypes.slice(1)] as never, default: 'none' })
  // The first step begins with the message; what follows gets the result before it.
  args.typedInput('type', String(row.argsType ?? (isFirst ? 'msg' : 'none')))
  args.typedInput('value', String(row.args ?? (isFirst ? 'payload' : '')))
  line.find('.red-ui-typedInput-container').css('width', '100%')
  const showSize = () => size.toggle(spread.val() === 'chunks')
  spread.on('change', showSize)
  showSize()
  offerQueues(queue)
}

function input(field: string, kind: string, value: unknown): JQuery {
  const name = label(`label.${field}`)
  return $('<input>', { type: 'text', class: kind, placeholder: label(`tip.${field}`) })
    .attr({ 'data-field': field, 'aria-label': name, title: name })
    .val(String(value ?? ''))
}

function read(line: JQuery): Row {
  const typed = (field: string) => String(line.find(`[data-field=${field}]`).val() ?? '').trim()
  const args = line.find('.millrace-tasks-args')
  return {
    task: typed('task'),
    queue: typed('queue'),
    args: args.typedInput('value'),
    argsType: args.typedInput('type'),
    spread: String(line.find('.millrace-tasks-spread').val()),
    size: typed('size'),
    immutable: line.find('[type=checkbox]').is(':checked'),
    options: typed('options'),
  }
}

/** Says at the row, and under the list, what Node-RED's own check of the property would only flag. */
function check(all: Row[], lines: JQuery[]): string | null {
  const { steps } = workflowConfig.fields
  const problemWith = (row: Row) => problemOf(workflowConfig, () => steps.read([row]), row)
  lines.forEach((line, place) => {
    const row = all[place] ?? {}
    const put = (field: string, problem: string | null) => {
      mark(line.find(`[data-field=${field}]`), problem)
      if (problem === null) line.find(`[data-field=${field}]`).attr('title', label(`label.${field}`))
    }
    put('task', problemWith({ task: row.task }))
    put('size', row.spread === 'chunks' ? problemWith({ task: 'any', size: row.size }) : null)
    put(
      'options',
      problemOf(workflowConfig, () => optionsOf(row.options), row),
    )
  })
  return problemOf(workflowConfig, () => steps.read(all), all)
}
