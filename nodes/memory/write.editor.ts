import { defineEditor } from '../shared/editor'
import { labelsOf, looks, preparePlace, prepareTime, prepareValue, showFor } from './editor'
import { valueKinds } from './fields'
import { writeConfig } from './write.config'

const label = labelsOf(writeConfig)

export default defineEditor(
  writeConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'memory write' },
  {
    example: 'memory/counter',
    label: (node) => String(node.name || `memory ${node.operation ?? 'write'}`),
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.written' : 'port.missing'),
    oneditprepare() {
      preparePlace()
      prepareValue('value', valueKinds)
      prepareTime('time')
      showFor({
        put: ['key', 'value', 'ttl', 'missing'],
        batch: ['value', 'ttl', 'missing'],
        delete: ['key', 'missing'],
        restore: ['key', 'time', 'missing'],
        embed: ['key', 'value', 'embeds', 'ttl'],
        retain: ['value'],
        index: ['value'],
      })
    },
  },
)
