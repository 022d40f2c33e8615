import { defineEditor, type PanelNode, text } from '../shared/editor'
import { batchConfig } from './batch.config'
import { editColumns } from './column-rows'
import type { ColumnRow } from './columns'
import { looks } from './editor'

/** Of the open dialog. */
let rows: () => ColumnRow[] = () => []

const label = (key: string) => text(batchConfig, key)

export default defineEditor(
  batchConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'arrow batch' },
  {
    example: 'arrow/sensor-to-files',
    label: (node) => node.name || 'arrow batch',
    inputLabels: () => label('port.rows'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.batches' : 'port.rejects'),
    oneditprepare,
    oneditsave(node) {
      node.columns = rows()
    },
  },
)

function oneditprepare(node: PanelNode): void {
  $('#node-input-rowsFrom').typedInput({ types: ['msg'] })
  rows = editColumns(batchConfig, node.columns)
}
