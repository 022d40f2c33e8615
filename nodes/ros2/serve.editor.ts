import { defineEditor, text } from '../shared/editor'
import { labelOf, looks, prepareService } from './editor'
import { serveConfig } from './serve.config'

export default defineEditor(
  serveConfig,
  { ...looks, inputs: 0, outputs: 1, paletteLabel: 'ros2 serve' },
  {
    example: 'ros2/services-and-parameters',
    label: (node) => labelOf(node, 'ros2 serve'),
    outputLabels: () => text(serveConfig, 'port.output'),
    oneditprepare: () => prepareService(),
  },
)
