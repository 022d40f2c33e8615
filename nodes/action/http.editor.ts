import { defineEditor, text } from '../shared/editor'
import { looks, prepareDelivery, showFor } from './editor'
import { httpConfig } from './http.config'

const label = (key: string, params?: object) => text(httpConfig, key, params)

export default defineEditor(
  httpConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'action http' },
  {
    example: 'action/gas-alarm',
    label: (node) => node.name || 'action http',
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.failures'),
    oneditprepare(node) {
      prepareDelivery(httpConfig, node.id)
      showFor('auth', ['bearer', 'basic', 'api-key'])
      showFor('body', ['template'])
      // Of bearer and API key there is one secret.
      const token = () =>
        $('.millrace-token').toggle(['bearer', 'api-key'].includes(String($('#node-input-auth').val())))
      $('#node-input-auth').on('change', token)
      token()
      const secret = () => $('.millrace-secret').toggle($('#node-input-signatureHeader').val() !== '')
      $('#node-input-signatureHeader').on('change input', secret)
      secret()
    },
  },
)
