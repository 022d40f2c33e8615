import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareNamespace, prepareTime, prepareValue } from './editor'
import { valueKinds } from './fields'
import { searchConfig } from './search.config'

const label = labelsOf(searchConfig)

export default defineEditor(
  searchConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory search' },
  {
    example: 'memory/search-by-meaning',
    label: (node) => String(node.name || 'memory search'),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.found'),
    oneditprepare() {
      prepareNamespace()
      prepareValue('query', valueKinds)
      prepareTime('time')
    },
  },
)
