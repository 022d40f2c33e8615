import { defineEditor, text } from '../shared/editor'
import { looks, prepareDelivery, showFor } from './editor'
import { redisConfig } from './redis.config'

const label = (key: string, params?: object) => text(redisConfig, key, params)

export default defineEditor(
  redisConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'action redis' },
  {
    example: 'action/alerts-to-redis-and-kafka',
    label: (node) => node.name || 'action redis',
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.failures'),
    oneditprepare(node) {
      prepareDelivery(redisConfig, node.id)
      showFor('topology', ['sentinel'])
      showFor('mode', ['keys', 'stream'])
      // A cluster has but one database.
      const db = () => $('.millrace-db').toggle($('#node-input-topology').val() !== 'cluster')
      $('#node-input-topology').on('change', db)
      db()
    },
  },
)
