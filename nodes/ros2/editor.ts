/** What the panels of the word share. Runs in the browser. */
import { ask, offer, type PanelNode } from '../shared/editor'
import { absolute, CONTEXT } from './fields'
import type { View } from './host'

const NOTHING: View = {
  transport: { name: 'native' },
  ...{ nodes: [], topics: [], services: [], actions: [], types: [], serviceTypes: [], actionTypes: [] },
}

/** One muted blue for the word. */
export const looks = { category: 'millrace ros2', color: '#b5c7d9', icon: 'ros2.svg' } as const

/** What a context sees; null where it is not deployed. */
export function viewOf(id: string): Promise<View | null> {
  return ask<View>(CONTEXT, id, 'graph')
}

export function labelOf(node: PanelNode, fallback: string): string {
  return String(node.name || node.topic || node.service || node.node || fallback)
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

interface Named {
  name: string
  types: string[]
}

/** Offers what is there; a name with one type brings it along. */
function offerNamed(name: JQuery, type: JQuery, named: () => Promise<Named[]>, types: () => Promise<string[]>): void {
  offer(name, async () => (await named()).map((one) => one.name))
  offer(type, async () => [...(await named()).flatMap((one) => one.types), ...(await types())])
  let before = name.val()
  name.on('change', async () => {
    // Node-RED says so, too, when the panel opens.
    if (name.val() === before) return
    before = name.val()
    const wanted = absolute(String(before ?? '').trim(), '/')
    const had = type.val()
    const [found, ...others] = (await named()).find((one) => one.name === wanted)?.types ?? []
    // Meanwhile the type may have been typed.
    if (found && others.length === 0 && found !== had && type.val() === had) type.val(found).trigger('change')
  })
}

export function offerTopic(topic: JQuery, type: JQuery, view: () => Promise<View>): void {
  const named = async () => (await view()).topics.map(({ topic, types }) => ({ name: topic, types }))
  offerNamed(topic, type, named, async () => (await view()).types)
}

/** The rows of `service.html`. */
export function prepareService(): void {
  const view = watchContext()
  const named = async () => (await view()).services.map(({ service, types }) => ({ name: service, types }))
  const types = async () => (await view()).serviceTypes
  offerNamed($('#node-input-service'), $('#node-input-serviceType'), named, types)
}

/** The rows of an action. */
export function prepareAction(): void {
  const view = watchContext()
  const named = async () => (await view()).actions.map(({ action, types }) => ({ name: action, types }))
  const types = async () => (await view()).actionTypes
  offerNamed($('#node-input-action'), $('#node-input-actionType'), named, types)
}

/** The name of a node in the domain. */
export function prepareRemoteNode(): void {
  const view = watchContext()
  offer($('#node-input-node'), async () => (await view()).nodes)
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
