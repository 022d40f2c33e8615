import { defineEditor, text } from '../shared/editor'
import { actionConfig } from './action.config'
import { looks, prepareAction } from './editor'

const label = (key: string) => text(actionConfig, key)

export default defineEditor(
  actionConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'ros2 action' },
  {
    example: 'ros2/actions',
    label: (node) => String(node.name || node.action || 'ros2 action'),
    inputLabels: () => label('port.goals'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.feedback'),
    oneditprepare: () => prepareAction(),
  },
)
