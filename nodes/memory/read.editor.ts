import { defineEditor } from '../shared/editor'
import { labelsOf, looks, preparePlace, prepareTime, prepareValue, rename, showFor } from './editor'
import { nameKinds, queryKinds } from './fields'
import { inputs, readConfig } from './read.config'

const label = labelsOf(readConfig)

/** The rows of an operation: what it wants to know, and more. */
const more: Record<string, readonly string[]> = {
  get: ['missing'],
  at: ['missing'],
  history: ['limit', 'missing'],
  diff: ['missing'],
  list: ['limit'],
}

export default defineEditor(
  readConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'memory read' },
  {
    example: 'memory/counter',
    label: (node) => String(node.name || `memory ${node.operation ?? 'read'}`),
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.found' : 'port.missing'),
    oneditprepare() {
      preparePlace()
      prepareTime('time', 'to')
      prepareValue('query', queryKinds)
      prepareValue('folder', nameKinds)
      const rows = Object.entries(inputs).map(([operation, own]) => [operation, [...own, ...(more[operation] ?? [])]])
      showFor(Object.fromEntries(rows), 'operation', (operation) => {
        rename('key', label(operation === 'list' ? 'label.prefix' : 'label.key'))
        rename('time', label(operation === 'diff' ? 'label.from' : 'label.time'))
      })
    },
  },
)
