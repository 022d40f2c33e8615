import { defineEditor, text } from '../shared/editor'
import { callConfig } from './call.config'
import { labelOf, looks, prepareService } from './editor'

export default defineEditor(
  callConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'ros2 call' },
  {
    example: 'ros2/services-and-parameters',
    label: (node) => labelOf(node, 'ros2 call'),
    inputLabels: () => text(callConfig, 'port.input'),
    outputLabels: () => text(callConfig, 'port.output'),
    oneditprepare: () => prepareService(),
  },
)
