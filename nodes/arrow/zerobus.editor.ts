import { defineEditor, text } from '../shared/editor'
import { looks } from './editor'
import { zerobusConfig } from './zerobus.config'

const label = (key: string) => text(zerobusConfig, key)

export default defineEditor(
  zerobusConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'arrow zerobus' },
  {
    example: 'arrow/sensor-to-zerobus',
    label: (node) => node.name || 'arrow zerobus',
    inputLabels: () => label('port.shipped'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.failures'),
  },
)
