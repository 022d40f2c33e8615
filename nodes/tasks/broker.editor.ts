import { defineEditor, prepareTest, text } from '../shared/editor'
import { brokerConfig } from './broker.config'
import { viewOf } from './editor'
import type { View } from './host'

const label = (key: string, params?: object) => text(brokerConfig, key, params)

export default defineEditor(
  brokerConfig,
  { category: 'config', paletteLabel: 'tasks broker' },
  {
    label: (node) => String(node.name || node.path || 'tasks'),
    oneditprepare(node) {
      // What the broker holds, as it is deployed.
      prepareTest(brokerConfig, 'millrace-tasks', async () => {
        const view = await viewOf(node.id)
        return view && textOf(view)
      })
    },
  },
)

function textOf({ queues, workers }: View): string {
  return [
    label('test.queues', { count: queues.length }),
    ...queues.map(({ name, pending, running, dead }) => `  ${label('test.queue', { name, pending, running, dead })}`),
    label('test.workers', { count: workers.length }),
    ...workers.map(({ name, running }) => `  ${label('test.worker', { name, running })}`),
  ].join('\n')
}
