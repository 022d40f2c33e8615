import { defineEditor, text } from '../shared/editor'
import { labelOf, looks, prepareTopic } from './editor'
import { inConfig } from './in.config'

export default defineEditor(
  inConfig,
  { ...looks, inputs: 0, outputs: 1, paletteLabel: 'ros2 in' },
  {
    example: 'ros2/talker-and-listener',
    label: (node) => labelOf(node, 'ros2 in'),
    outputLabels: () => text(inConfig, 'port.messages'),
    oneditprepare: () => prepareTopic(),
  },
)
