import { defineEditor, text } from '../shared/editor'
import { looks, prepareAction } from './editor'
import { goalsConfig } from './goals.config'

const label = (key: string) => text(goalsConfig, key)

export default defineEditor(
  goalsConfig,
  { ...looks, inputs: 0, outputs: 2, paletteLabel: 'ros2 goals' },
  {
    example: 'ros2/actions',
    label: (node) => String(node.name || node.action || 'ros2 goals'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.goals' : 'port.cancels'),
    oneditprepare: () => prepareAction(),
  },
)
