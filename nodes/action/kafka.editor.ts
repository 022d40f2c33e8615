import { defineEditor, text } from '../shared/editor'
import { looks, prepareDelivery } from './editor'
import { kafkaConfig } from './kafka.config'

const label = (key: string, params?: object) => text(kafkaConfig, key, params)

export default defineEditor(
  kafkaConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'action kafka' },
  {
    example: 'action/alerts-to-redis-and-kafka',
    label: (node) => node.name || 'action kafka',
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.failures'),
    oneditprepare(node) {
      prepareDelivery(kafkaConfig, node.id)
      const [sasl, acks] = [$('#node-input-sasl'), $('#node-input-acks')]
      const show = () => {
        const mechanism = sasl.val()
        $('.millrace-login').toggle(mechanism !== 'none' && mechanism !== 'OAUTHBEARER')
        $('.millrace-token').toggle(mechanism === 'OAUTHBEARER')
        // Brokers recognise nothing twice that they do not confirm.
        $('.millrace-idempotent').toggle(acks.val() === 'all')
      }
      sasl.add(acks).on('change', show)
      show()
    },
  },
)
