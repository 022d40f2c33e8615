import { defineEditor, prepareTest, text } from '../shared/editor'
import { brokerConfig } from './broker.config'
import { viewOf } from './editor'
import type { View } from './host'

const label = (key: string, params?: object) => text(brokerConfig, key, params)

export default defineEditor(
  brokerConfig,
  { category: 'config', paletteLabel: 'tasks broker' },
  {
    example: 'tasks/first-task',
    label: (node) => String(node.name || (node.kind === 'servers' ? node.prefix : node.path) || 'tasks'),
    oneditprepare(node) {
      const kind = $('#node-config-input-kind')
      const show = () => {
        for (const one of ['embedded', 'servers']) $(`.millrace-kind-${one}`).toggle(kind.val() === one)
      }
      kind.on('change', show)
      show()
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
