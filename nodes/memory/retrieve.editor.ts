import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareNamespace, prepareValue, showFor } from './editor'
import { valueKinds } from './fields'
import { retrieveConfig } from './retrieve.config'

const label = labelsOf(retrieveConfig)

export default defineEditor(
  retrieveConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory retrieve' },
  {
    example: 'memory/questions-over-documents',
    label: (node) => String(node.name || 'memory retrieve'),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.found'),
    oneditprepare() {
      prepareNamespace()
      prepareValue('query', valueKinds)
      showFor({ passages: [], prompt: ['budget', 'instructions'] }, 'output')
    },
  },
)
