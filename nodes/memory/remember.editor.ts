import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareValue } from './editor'
import { valueKinds } from './fields'
import { rememberConfig } from './remember.config'

const label = labelsOf(rememberConfig)

export default defineEditor(
  rememberConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory remember' },
  {
    label: (node) => String(node.name || 'memory remember'),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.kept'),
    oneditprepare: () => prepareValue('text', valueKinds),
  },
)
