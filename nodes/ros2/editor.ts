/** What the panels of the word share. Runs in the browser. */
import { ask, offer, type PanelNode } from '../shared/editor'
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

/** What the chosen context sees: looked up when the panel opens, and when another one is chosen. */
export function watchContext(): () => Promise<View> {
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
  return () => view
}

/** Offers what is there; a topic of one type brings it along. */
export function offerTopic(topic: JQuery, type: JQuery, view: () => Promise<View>): void {
  offer(topic, async () => (await view()).topics.map((one) => one.topic))
  offer(type, async () => {
    const { topics, types } = await view()
    return [...topics.flatMap((one) => one.types), ...types]
  })
  let before = topic.val()
  topic.on('change', async () => {
    // Node-RED says so, too, when the panel opens.
    if (topic.val() === before) return
    before = topic.val()
    const name = absolute(String(before ?? '').trim(), '/')
    const had = type.val()
    const [found, ...others] = (await view()).topics.find((one) => one.topic === name)?.types ?? []
    // Meanwhile the type may have been typed.
    if (found && others.length === 0 && found !== had && type.val() === had) type.val(found).trigger('change')
  })
}

/** The rows of `topic.html`. */
export function prepareTopic(): void {
  offerTopic($('#node-input-topic'), $('#node-input-messageType'), watchContext())
  const showQos = () => {
    $('.millrace-ros2-qos').toggle($('#node-input-qos').val() === 'custom')
    $('.millrace-ros2-depth').toggle($('#node-input-history').val() === 'keep-last')
  }
  $('#node-input-qos, #node-input-history').on('change', showQos)
  showQos()
}
