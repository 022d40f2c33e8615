import { defineEditor, lookup, text } from '../shared/editor'
import { bagConfig } from './bag.config'
import { looks } from './editor'

const label = (key: string) => text(bagConfig, key)

export default defineEditor(
  bagConfig,
  { ...looks, inputs: 1, outputs: 2, paletteLabel: 'ros2 bag' },
  {
    example: 'ros2/recording',
    label: (node) => String(node.name || fileOf(String(node.path ?? '')) || 'ros2 bag'),
    inputLabels: (node) => label(node.mode === 'record' ? 'port.messages' : 'port.control'),
    outputLabels: (_node, port) => label(port === 0 ? 'port.messages' : 'port.events'),
    oneditprepare: (node) => {
      offerTopics(node.id)
      const mode = $('#node-input-mode')
      const showMode = () => {
        $('.millrace-ros2-play').toggle(mode.val() === 'play')
        $('.millrace-ros2-record').toggle(mode.val() === 'record')
      }
      mode.on('change', showMode)
      showMode()
    },
  },
)

function fileOf(path: string): string {
  return path.split(/[\\/:]/).at(-1) ?? ''
}

/** The topics of the deployed recording; those before the last one typed stay. */
function offerTopics(id: string): void {
  const found = lookup<string>(bagConfig, id, 'topics')
  $('#node-input-topics').autoComplete({
    search: (typed, done) => {
      const [before = '', last = ''] = [/^.*[\s,]/s.exec(typed)?.[0], /[^\s,]*$/.exec(typed)?.[0]]
      const taken = new Set(before.split(/[\s,]+/))
      found.then((topics) => {
        const fitting = topics.filter((topic) => topic.includes(last) && !taken.has(topic))
        done(fitting.map((topic) => ({ value: `${before}${topic}`, label: topic })))
      })
    },
  })
}
