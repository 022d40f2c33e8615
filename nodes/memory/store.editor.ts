import { ask, defineEditor } from '../shared/editor'
import type { View } from './browsing'
import { labelsOf } from './editor'
import { storeConfig } from './store.config'

const label = labelsOf(storeConfig)

export default defineEditor(
  storeConfig,
  { category: 'config', paletteLabel: 'memory store' },
  {
    example: 'memory/counter',
    label: (node) => String(node.name || node.path || 'memory'),
    oneditprepare: (node) => $('#millrace-memory-test').on('click', () => test(node.id)),
  },
)

/** Shows what the store holds, as it is deployed. */
async function test(id: string): Promise<void> {
  const button = $('#millrace-memory-test').prop('disabled', true)
  try {
    const view = await ask<View>(storeConfig.type, id, 'view')
    show(view ? textOf(view) : label('test.undeployed'))
  } catch (error) {
    show(label('test.failed', { reason: (error as Error).message }))
  }
  button.prop('disabled', false)
}

function show(found: string): void {
  $('#millrace-memory-found').text(found).prop('hidden', false)
}

function textOf({ stats, namespaces }: View): string {
  const mb = Number((stats.diskBytes / (1 << 20)).toPrecision(3))
  return [
    label('test.stats', { keys: stats.keys, versions: stats.versions, mb }),
    label('test.namespaces', { count: stats.namespaces }),
    ...namespaces.map(({ name, keys, versions }) => `  ${label('test.namespace', { name, keys, versions })}`),
  ].join('\n')
}
