/** What the panels within a context share. Runs in the browser. */
import { ask, type PanelNode } from '../shared/editor'
import { absolute, CONTEXT } from './fields'
import type { View } from './host'

const NOTHING: View = {
  transport: { name: 'native' },
  ...{ nodes: [], topics: [], services: [], types: [], serviceTypes: [] },
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

/** The rows of `topic.html`. */
export function prepareTopic(): void {
  prepareNamed('topic', 'messageType', ({ topics, types }) => ({
    names: topics.map(({ topic, types }) => ({ name: topic, types })),
    types,
  }))

  const showQos = () => {
    $('.millrace-ros2-qos').toggle($('#node-input-qos').val() === 'custom')
    $('.millrace-ros2-depth').toggle($('#node-input-history').val() === 'keep-last')
  }
  $('#node-input-qos, #node-input-history').on('change', showQos)
  showQos()
}

/** The rows of `service.html`. */
export function prepareService(): void {
  prepareNamed('service', 'serviceType', ({ services, serviceTypes }) => ({
    names: services.map(({ service, types }) => ({ name: service, types })),
    types: serviceTypes,
  }))
}

/** The name of a node in the domain. */
export function prepareRemoteNode(): void {
  const view = followContext()
  $('#node-input-node').autoComplete({
    search: (typed, done) => {
      view().then(({ nodes }) => done(offered(nodes, typed)))
    },
  })
}

interface Offer {
  names: { name: string; types: string[] }[]
  /** All known ones. */
  types: string[]
}

/** What the chosen context sees. */
function followContext(): () => Promise<View> {
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

/** Two inputs that offer what there is: a name, and its type, which follows the name. */
function prepareNamed(nameId: string, typeId: string, offer: (view: View) => Offer): void {
  const view = followContext()
  const name = $(`#node-input-${nameId}`)
  const type = $(`#node-input-${typeId}`)
  name.autoComplete({
    search: (typed, done) => {
      view().then((found) =>
        done(
          offered(
            offer(found).names.map((one) => one.name),
            typed,
          ),
        ),
      )
    },
  })
  type.autoComplete({
    search: (typed, done) => {
      view().then((found) => {
        const { names, types } = offer(found)
        done(offered([...names.flatMap((one) => one.types), ...types], typed))
      })
    },
  })
  let before = name.val()
  name.on('change', async () => {
    // Node-RED says so, too, when the panel opens.
    if (name.val() === before) return
    before = name.val()
    const wanted = absolute(String(before ?? '').trim(), '/')
    const { names } = offer(await view())
    const [found, ...others] = names.find((one) => one.name === wanted)?.types ?? []
    if (found && others.length === 0 && found !== type.val()) type.val(found).trigger('change')
  })
}

function offered(names: string[], typed: string): { value: string; label: string }[] {
  const wanted = typed.toLowerCase()
  const fitting = new Set(names.filter((name) => name.toLowerCase().includes(wanted)))
  return [...fitting].map((value) => ({ value, label: value }))
}
