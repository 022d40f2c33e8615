import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareValue, rename, showFor } from './editor'
import { valueKinds } from './fields'
import { rememberConfig } from './remember.config'

const label = labelsOf(rememberConfig)

export default defineEditor(
  rememberConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory remember' },
  {
    example: 'memory/agent',
    label: (node) => String(node.name || `memory ${node.operation ?? 'remember'}`),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.kept'),
    oneditprepare() {
      prepareValue('text', valueKinds)
      const rows = {
        remember: ['embeds', 'kind', 'text', 'importance', 'tags'],
        forget: ['text'],
        consolidate: ['embeds', 'consolidate'],
        undo: ['text'],
      }
      showFor(rows, 'operation', (operation) => {
        rename('text', label(operation === 'forget' ? 'label.id' : operation === 'undo' ? 'label.done' : 'label.text'))
      })
    },
  },
)
