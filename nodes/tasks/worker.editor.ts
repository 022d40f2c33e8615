import { defineEditor, text } from '../shared/editor'
import { looks, offerQueues } from './editor'
import { workerConfig } from './worker.config'

export default defineEditor(
  workerConfig,
  { ...looks, inputs: 0, outputs: 2, paletteLabel: 'tasks worker' },
  {
    example: 'tasks/first-task',
    label: (node) => String(node.name || node.tasks || node.queues || 'tasks worker'),
    outputLabels: (_node, port) => text(workerConfig, port === 0 ? 'port.tasks' : 'port.stopped'),
    oneditprepare: () => offerQueues($('#node-input-queues')),
  },
)
