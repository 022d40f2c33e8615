import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareTime, prepareValue, showFor } from './editor'
import { valueKinds } from './fields'
import { recallConfig } from './recall.config'

const label = labelsOf(recallConfig)

export default defineEditor(
  recallConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory recall' },
  {
    example: 'memory/agent',
    label: (node) => String(node.name || 'memory recall'),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.found'),
    oneditprepare() {
      prepareValue('query', valueKinds)
      prepareTime('since')
      showFor({ list: ['limit'], context: ['budget'] }, 'output')
    },
  },
)
