import { defineEditor, text } from '../shared/editor'
import { labelOf, looks, prepareRemoteNode } from './editor'
import { parametersConfig } from './parameters.config'

export default defineEditor(
  parametersConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'ros2 parameters' },
  {
    example: 'ros2/services-and-parameters',
    label: (node) => labelOf(node, 'ros2 parameters'),
    inputLabels: () => text(parametersConfig, 'port.input'),
    outputLabels: () => text(parametersConfig, 'port.output'),
    oneditprepare: () => prepareRemoteNode(),
  },
)
