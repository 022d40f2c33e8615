import { defineEditor, text } from '../shared/editor'
import { doneConfig } from './done.config'
import { looks } from './editor'

export default defineEditor(
  doneConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'tasks done' },
  {
    example: 'tasks/first-task',
    label: (node) => String(node.name || 'tasks done'),
    inputLabels: () => text(doneConfig, 'port.messages'),
    outputLabels: () => text(doneConfig, 'port.recorded'),
    oneditprepare() {
      const showDelay = () => $('.millrace-tasks-delay').toggle($('#node-input-outcome').val() === 'retry')
      $('#node-input-outcome').on('change', showDelay)
      showDelay()
    },
  },
)
