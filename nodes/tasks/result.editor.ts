import { defineEditor, text } from '../shared/editor'
import { looks } from './editor'
import { resultConfig } from './result.config'

export default defineEditor(
  resultConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'tasks result' },
  {
    example: 'tasks/delayed',
    label: (node) => String(node.name || 'tasks result'),
    inputLabels: () => text(resultConfig, 'port.messages'),
    outputLabels: (_node, port) => text(resultConfig, port === 0 ? 'port.results' : 'port.absent'),
    oneditprepare() {
      $('#node-input-from').typedInput({ types: ['msg'] })
      const showTimeout = () => $('.millrace-tasks-timeout').toggle($('#node-input-mode').val() === 'wait')
      $('#node-input-mode').on('change', showTimeout)
      showTimeout()
    },
  },
)
