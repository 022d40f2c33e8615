import { act, defineEditor, prepareTest } from '../shared/editor'
import { labelsOf } from './editor'
import { embedderConfig } from './embedder.config'
import type { Tested } from './embedding'

const label = labelsOf(embedderConfig)

export default defineEditor(
  embedderConfig,
  { category: 'config', paletteLabel: 'memory embedder' },
  {
    example: 'memory/agent-with-model',
    label: (node) => String(node.name || node.model || 'memory embedder'),
    oneditprepare(node) {
      prepareTest(embedderConfig, 'millrace-memory', async () => {
        const tested = await act<Tested>(embedderConfig.type, node.id, 'test')
        if (tested && 'code' in tested) throw new Error(tested.message)
        return tested && label('test.good', { ...tested })
      })
    },
  },
)
