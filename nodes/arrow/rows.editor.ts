import { defineEditor, text } from '../shared/editor'
import { looks } from './editor'
import { rowsConfig } from './rows.config'

const label = (key: string) => text(rowsConfig, key)

export default defineEditor(
  rowsConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'arrow rows' },
  {
    example: 'arrow/sensor-to-files',
    label: (node) => node.name || 'arrow rows',
    inputLabels: () => label('port.batches'),
    outputLabels: () => label('port.rows'),
    oneditprepare: () => {
      $('#node-input-output').on('change', showRows)
      showRows()
    },
  },
)

function showRows(): void {
  const output = $('#node-input-output').val()
  $('.millrace-arrow-each').toggle(output !== 'columns')
  $('.millrace-arrow-kinds').toggle(output === 'rows' || output === 'columns')
}
