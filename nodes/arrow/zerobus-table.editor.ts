import { act, defineEditor, type PanelNode, prepareTest, text } from '../shared/editor'
import { editColumns } from './column-rows'
import type { ColumnRow } from './columns'
import type { Tested } from './reach'
import { tableConfig } from './zerobus-table.config'

/** Of the open dialog. */
let rows: () => ColumnRow[] = () => []

const label = (key: string, params?: object) => text(tableConfig, key, params)

export default defineEditor(
  tableConfig,
  { category: 'config', paletteLabel: 'arrow zerobus table' },
  {
    example: 'arrow/sensor-to-zerobus',
    label: (node) => String(node.name || node.table || 'zerobus'),
    oneditprepare,
    oneditsave(node) {
      node.columns = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  rows = editColumns(tableConfig, node.columns)
  showWhile('.millrace-spool', ['spool'])
  showWhile('.millrace-copies', ['copiesArrow', 'copiesProtobuf'])
  const delivery = input('delivery')
  const show = () => $('.millrace-flight').toggle(delivery.val() === 'flight')
  delivery.on('change', show)
  show()
  // Of what is deployed: the editor does not know the secret.
  prepareTest(tableConfig, 'millrace-arrow', async () => {
    const tested = await act<Tested>(tableConfig.type, String(node.id), 'test')
    return tested && textOf(tested)
  })
}

function input(field: string): JQuery {
  return $(`#node-config-input-${field}`)
}

/** Shows rows while one of the boxes is checked. */
function showWhile(shown: string, boxes: readonly string[]): void {
  const show = () => $(shown).toggle(boxes.some((box) => input(box).is(':checked')))
  for (const box of boxes) input(box).on('change', show)
  show()
}

/** At which step it fails, where it does. */
function textOf(tested: Tested): string {
  if (tested.ok) return label('test.good', { ms: tested.ms })
  return `${label(`fault.${tested.fault}`)}\n${tested.message}`.trim()
}
