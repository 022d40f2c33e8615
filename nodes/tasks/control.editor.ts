import { defineEditor, text } from '../shared/editor'
import { type CommandName, commandNames, commands, states } from './commands'
import { controlConfig } from './control.config'
import { looks, offerQueues } from './editor'

const label = (key: string, params?: object) => text(controlConfig, key, params)

export default defineEditor(
  controlConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'tasks control' },
  {
    example: 'tasks/rate-limited',
    label: (node) => String(node.name || (node.command === 'message' ? 'tasks control' : node.command)),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.answers'),
    oneditprepare(node) {
      fill('command', ['message', ...commandNames], String(node.command))
      fill('state', ['', ...states], String(node.state))
      offerQueues($('#node-input-queue'))
      $('#node-input-command').on('change', showParams)
      showParams()
    },
  },
)

function fill(field: string, values: readonly string[], chosen: string): void {
  const select = $(`#node-input-${field}`)
  for (const value of values) select.append($('<option>', { value }).text(label(`${field}.${value || 'live'}`)))
  select.val(chosen)
}

/** Only what the command needs; what else it needs is told of below. */
function showParams(): void {
  const command = String($('#node-input-command').val())
  const needed: readonly string[] = command === 'message' ? [] : commands[command as CommandName]
  for (const row of $('[data-param]').toArray()) $(row).toggle(needed.includes(row.dataset.param ?? ''))
  const isSome = ['retryDead', 'deleteDead', 'list', 'count'].includes(command)
  $('#node-input-queue').attr('placeholder', isSome ? label('tip.every') : '')
  $('#millrace-tasks-hint').text(label(`hint.${hintOf(command)}`))
}

function hintOf(command: string): string {
  if (command === 'revoke' || command === 'inspect') return 'id'
  if (command === 'schedule' || command === 'unschedule') return 'schedule'
  return command === 'message' ? 'message' : 'options'
}
