import { defineEditor, text } from '../shared/editor'
import { looks, offerQueues } from './editor'
import { sendConfig } from './send.config'

export default defineEditor(
  sendConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'tasks send' },
  {
    example: 'tasks/first-task',
    label: (node) => String(node.name || node.task || 'tasks send'),
    inputLabels: () => text(sendConfig, 'port.messages'),
    outputLabels: () => text(sendConfig, 'port.sent'),
    oneditprepare: () => offerQueues($('#node-input-queue')),
  },
)
