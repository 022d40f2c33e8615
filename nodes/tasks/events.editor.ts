import { defineEditor, text } from '../shared/editor'
import { looks, offerQueues } from './editor'
import { eventsConfig } from './events.config'
import { kinds } from './kinds'

const label = (key: string, params?: object) => text(eventsConfig, key, params)

export default defineEditor(
  eventsConfig,
  { ...looks, inputs: 0, outputs: 1, paletteLabel: 'tasks events' },
  {
    example: 'tasks/dead-letters',
    label: (node) => String(node.name || 'tasks events'),
    outputLabels: () => label('port.events'),
    oneditprepare() {
      const options = kinds.map((kind) => ({ value: kind, label: label(`kind.${kind}`) }))
      $('#node-input-kinds').typedInput({ types: [{ value: 'kinds', multiple: true, options }] as never })
      offerQueues($('#node-input-queues'))
    },
  },
)
