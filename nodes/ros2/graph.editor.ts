import { defineEditor, offer, text } from '../shared/editor'
import { looks, watchContext } from './editor'
import { graphConfig } from './graph.config'

const label = (key: string) => text(graphConfig, key)

export default defineEditor(
  graphConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'ros2 graph' },
  {
    example: 'ros2/two-node-reds',
    label: (node) => String(node.name || node.prefix || 'ros2 graph'),
    inputLabels: () => label('port.requests'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.changes' : 'port.graph'),
    oneditprepare() {
      const view = watchContext()
      offer($('#node-input-prefix'), async () => {
        const { nodes, topics } = await view()
        return [...nodes, ...topics.map(({ topic }) => topic)]
      })
    },
  },
)
