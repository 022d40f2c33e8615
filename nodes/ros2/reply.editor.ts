import { defineEditor, text } from '../shared/editor'
import { labelOf, looks } from './editor'
import { replyConfig } from './reply.config'

export default defineEditor(
  replyConfig,
  { ...looks, inputs: 1, outputs: 0, paletteLabel: 'ros2 reply', align: 'right' },
  {
    example: 'ros2/services-and-parameters',
    label: (node) => labelOf(node, 'ros2 reply'),
    inputLabels: () => text(replyConfig, 'port.input'),
  },
)
