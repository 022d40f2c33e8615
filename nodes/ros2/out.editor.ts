import { defineEditor, text } from '../shared/editor'
import { labelOf, looks, prepareTopic } from './editor'
import { outConfig } from './out.config'

export default defineEditor(
  outConfig,
  { ...looks, inputs: 1, outputs: 0, paletteLabel: 'ros2 out', align: 'right' },
  {
    example: 'ros2/talker-and-listener',
    label: (node) => labelOf(node, 'ros2 out'),
    inputLabels: () => text(outConfig, 'port.messages'),
    oneditprepare: () => prepareTopic(),
  },
)
