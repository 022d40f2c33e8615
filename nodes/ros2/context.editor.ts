import type { EditorRED } from 'node-red'
import { defineEditor, lookup, offer, prepareTest, text } from '../shared/editor'
import { reachCode } from '../shared/reach'
import { contextConfig } from './context.config'
import { viewOf } from './editor'
import type { View } from './host'
import { saidOf } from './said'

declare const RED: EditorRED

/** Of the open dialog. */
let definitions: { getValue(): string; focus(): void; destroy(): void } | undefined

const label = (key: string, params?: object) => text(contextConfig, key, params)

export default defineEditor(
  contextConfig,
  { category: 'config', paletteLabel: 'ros2 context' },
  {
    example: 'ros2/talker-and-listener',
    label: (node) => node.name || (node.domain === '' ? 'ROS 2' : `ROS 2, ${node.domain}`),
    oneditprepare(node) {
      offer($('#node-config-input-interface'), () => lookup<string>(contextConfig, node.id, 'interfaces'))
      // What the context discovers, as it is deployed.
      prepareTest(contextConfig, 'millrace-ros2', async () => {
        const view = await viewOf(node.id)
        return view && textOf(view)
      })
      const settings = {
        id: 'millrace-ros2-messages',
        mode: 'ace/mode/text',
        value: String($('#node-config-input-messages').val() ?? ''),
        // Those of Monaco would look at the text once more when it is gone: "Model is disposed!".
        inlineSuggest: { enabled: false },
      }
      definitions = RED.editor.createEditor(settings)
      reachCode($('#millrace-ros2-messages'), label('label.messages'), label('tip.code'), definitions)
    },
    oneditsave() {
      $('#node-config-input-messages').val(definitions?.getValue() ?? '')
      closeDefinitions()
    },
    oneditcancel: closeDefinitions,
    oneditdelete: closeDefinitions,
  },
)

function closeDefinitions(): void {
  definitions?.destroy()
  definitions = undefined
}

function textOf({ transport, nodes, topics }: View): string {
  return [
    ...saidOf(transport, label),
    label('test.nodes', { count: nodes.length }),
    ...nodes.map((node) => `  ${node}`),
    label('test.topics', { count: topics.length }),
    ...topics.map(({ topic, types }) => `  ${topic}  ${types.join(', ')}`),
  ].join('\n')
}
