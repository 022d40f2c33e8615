import { defineEditor } from '../shared/editor'
import { labelsOf, looks, prepareNamespace, prepareValue, showFor } from './editor'
import { nameKinds, valueKinds } from './fields'
import { ingestConfig } from './ingest.config'

const label = labelsOf(ingestConfig)

export default defineEditor(
  ingestConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'memory ingest' },
  {
    example: 'memory/questions-over-documents',
    label: (node) => String(node.name || 'memory ingest'),
    inputLabels: () => label('port.messages'),
    outputLabels: () => label('port.done'),
    oneditprepare() {
      prepareNamespace()
      prepareValue('source', nameKinds)
      prepareValue('text', valueKinds)
      showFor({ ingest: ['source', 'text', 'format', 'chunks'], remove: ['source'], sources: [] })
    },
  },
)
