import { defineEditor } from '../shared/editor'
import { keys, labelsOf, looks, namespaces, offerNames } from './editor'
import { watchConfig } from './watch.config'

const label = labelsOf(watchConfig)

export default defineEditor(
  watchConfig,
  { ...looks, inputs: 0, outputs: 2, paletteLabel: 'memory watch' },
  {
    example: 'memory/device-twin',
    label: (node) => String(node.name || node.namespace || 'memory watch'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.changes' : 'port.gaps'),
    oneditprepare() {
      offerNames($('#node-input-namespace'), namespaces)
      offerNames($('#node-input-prefix'), keys)
    },
  },
)
