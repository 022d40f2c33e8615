/** What the panels of the two nodes of a topic share. Runs in the browser. */
import { ask, type PanelNode } from '../shared/editor'
import { absolute, CONTEXT } from './fields'
import type { View } from './host'

const NOTHING: View = { transport: { name: 'native' }, nodes: [], topics: [], types: [] }

/** One muted blue for the word. */
export const looks = { category: 'millrace ros2', color: '#b5c7d9', icon: 'ros2.svg' } as const

/** What a context sees; null where it is not deployed. */
export function viewOf(id: string): Promise<View | null> {
  return ask<View>(CONTEXT, id, 'graph')
}

export function labelOf(node: PanelNode, fallback: string): string {
  return String(node.name || node.topic || fallback)
}

/** The rows of `topic.html`. */
export function prepareTopic(): void {
  let view: Promise<View> = Promise.resolve(NOTHING)
  const look = () => {
    const id = String($('#node-input-context').val() ?? '')
    // Without an answer any name can still be typed.
    if (id && id !== '_ADD_')
      view = viewOf(id).then(
        (found) => found ?? NOTHING,
        () => NOTHING,
      )
  }
  $('#node-input-context').on('change', look)
  look()

  const topic = $('#node-input-topic')
  const type = $('#node-input-messageType')
  topic.autoComplete({
    search: (typed, done) => {
      view.then(({ topics }) =>
        done(
          offered(
            topics.map((one) => one.topic),
            typed,
          ),
        ),
      )
    },
  })
  type.autoComplete({
    search: (typed, done) => {
      view.then(({ topics, types }) => done(offered([...typesOf(topics), ...types], typed)))
    },
  })
  let before = topic.val()
  topic.on('change', async () => {
    // Node-RED says so, too, when the panel opens.
    if (topic.val() === before) return
    before = topic.val()
    const name = absolute(String(before ?? '').trim(), '/')
    const [found, ...others] = (await view).topics.find((one) => one.topic === name)?.types ?? []
    if (found && others.length === 0 && found !== type.val()) type.val(found).trigger('change')
  })

  const showQos = () => {
    $('.millrace-ros2-qos').toggle($('#node-input-qos').val() === 'custom')
    $('.millrace-ros2-depth').toggle($('#node-input-history').val() === 'keep-last')
  }
  $('#node-input-qos, #node-input-history').on('change', showQos)
  showQos()
}

function typesOf(topics: View['topics']): string[] {
  return topics.flatMap((topic) => topic.types)
}

function offered(names: string[], typed: string): { value: string; label: string }[] {
  const wanted = typed.toLowerCase()
  const fitting = new Set(names.filter((name) => name.toLowerCase().includes(wanted)))
  return [...fitting].map((value) => ({ value, label: value }))
}
