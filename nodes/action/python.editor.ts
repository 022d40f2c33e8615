import type { EditorRED } from 'node-red'
import { defineEditor, type PanelNode, text } from '../shared/editor'
import { reachCode } from '../shared/reach'
import { looks, prepareDelivery, showFor } from './editor'
import { pythonConfig } from './python.config'

declare const RED: EditorRED

/** The part of Node-RED's editor of code that is used. */
interface CodeEditor {
  getValue(): string
  focus(): void
  resize(): void
  destroy(): void
}

const label = (key: string, params?: object) => text(pythonConfig, key, params)

let editor: CodeEditor | undefined

export default defineEditor(
  pythonConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'action python' },
  {
    example: 'action/python-script',
    label: (node) => node.name || String((node.script === 'file' && node.scriptPath) || 'action python'),
    inputLabels: () => label('port.messages'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.results' : 'port.failures'),
    oneditprepare,
    oneditsave() {
      $('#node-input-code').val(editor?.getValue() ?? '')
      leave()
    },
    oneditcancel: leave,
    oneditresize: () => editor?.resize(),
  },
)

function oneditprepare(node: PanelNode): void {
  const { createEditor } = RED.editor as unknown as { createEditor(options: object): CodeEditor }
  editor = createEditor({ id: 'millrace-python-code', mode: 'ace/mode/python', value: String(node.code ?? '') })
  reachCode($('#millrace-python-code'), label('label.script'), label('tip.code'), editor)
  // A call that takes too long is tried so often with an outbox, too.
  $('#node-input-retries').closest('.form-row').removeClass('millrace-direct')
  prepareDelivery(pythonConfig, node.id, given)
  showFor('script', ['code', 'file'])
  showFor('mode', ['pool'])
  // A panel that opens lays the editor out before it is shown.
  $('#node-input-script').on('change', () => editor?.resize())
}

/** The settings as they stand in the panel. */
function given(): object {
  const values = Object.keys(pythonConfig.fields).map((name) => {
    const input = $(`#node-input-${name}`)
    return [name, input.is('[type=checkbox]') ? input.prop('checked') : input.val()]
  })
  return { ...Object.fromEntries(values.filter(([, value]) => value !== undefined)), code: editor?.getValue() ?? '' }
}

/** An editor that is not destroyed stays in the page for ever. */
function leave(): void {
  editor?.destroy()
  editor = undefined
}
