import { defineEditor, text } from '../shared/editor'
import { looks } from './editor'
import { fileConfig } from './file.config'

const label = (key: string) => text(fileConfig, key)

export default defineEditor(
  fileConfig,
  { ...looks, inputs: 1, outputs: 1, paletteLabel: 'arrow file' },
  {
    example: 'arrow/sensor-to-files',
    label: (node) => node.name || (node.action === 'read' ? 'read arrow file' : 'arrow file'),
    inputLabels: () => label('port.batches'),
    outputLabels: () => label('port.files'),
    oneditprepare: () => {
      $('#node-input-action').on('change', showRows)
      showRows()
    },
  },
)

function showRows(): void {
  $('.millrace-arrow-write').toggle($('#node-input-action').val() === 'write')
}
