/** The one sidebar of the collection, a plugin of the editor. What it shows are sections, each a plugin of its family. */
import type { EditorRED } from 'node-red'
import { text } from './editor'
import { type Plugins, SECTION, type Section } from './section'

declare const RED: EditorRED & {
  plugins: Plugins
  sidebar: { addTab(options: object): void; removeTab(id: string): void; show(id: string): void }
  actions: { add(name: string, action: () => void): void; remove(name: string): void }
}

const ID = 'millrace'
const ACTION = 'millrace:show-sidebar'
const MODULE = '@millrace/node-red'
const PAUSE_MS = 2000

interface Place {
  details: JQuery
  problem: JQuery
  body: JQuery
  shown: { refresh(): Promise<void> }
  restMs: number
  refreshedAt: number
}

const label = (key: string, params?: object) => text({ type: 'millrace-sidebar' }, key, params)
const content = $('<div>', { class: 'millrace-sidebar' })
const places = new Map<object, Place>()
let isVisible = false
let isLooking = false
let timer: ReturnType<typeof setTimeout> | undefined

const observer = new IntersectionObserver((entries) => {
  isVisible = entries.at(-1)?.isIntersecting ?? false
  look()
})

/** Asks only for what can be seen, and one round after the other. */
async function look(): Promise<void> {
  clearTimeout(timer)
  if (!isVisible || document.hidden || isLooking) return
  isLooking = true
  await Promise.all([...places.values()].filter(isDue).map(refresh))
  isLooking = false
  timer = setTimeout(look, PAUSE_MS)
}

function isDue({ details, refreshedAt, restMs }: Place): boolean {
  return details.prop('open') === true && performance.now() - refreshedAt >= restMs
}

async function refresh(place: Place): Promise<void> {
  let problem = ''
  place.refreshedAt = performance.now()
  try {
    await place.shown.refresh()
    place.body.prop('hidden', false)
  } catch (error) {
    problem = label('problem', { reason: (error as Error).message })
  }
  place.problem.text(problem).prop('hidden', problem === '')
}

function addSections(): void {
  for (const plugin of RED.plugins.getPluginsByType(SECTION)) {
    if (places.has(plugin)) continue
    const section = plugin as Section
    const details = $('<details>', { class: 'millrace-section' }).prop('open', true)
    const problem = $('<div>', { class: 'millrace-sidebar-problem', role: 'status' }).prop('hidden', true)
    // Until something is known of it.
    const body = $('<div>').prop('hidden', true)
    details.append($('<summary>').text(section.title()), problem, body).appendTo(content)
    const place = {
      details,
      problem,
      body,
      shown: section.open(body),
      restMs: section.restMs ?? 0,
      refreshedAt: Number.NEGATIVE_INFINITY,
    }
    places.set(plugin, place)
    details.on('toggle', () => {
      place.refreshedAt = Number.NEGATIVE_INFINITY
      void look()
    })
  }
}

function open(): void {
  RED.sidebar.addTab({
    id: ID,
    label: label('title'),
    name: label('name'),
    iconClass: 'fa fa-tint',
    action: ACTION,
    content,
    enableOnEdit: true,
  })
  RED.actions.add(ACTION, () => RED.sidebar.show(ID))
  addSections()
  RED.events.on('registry:plugin-added', addSections)
  RED.events.on('registry:node-set-removed', closeWithModule)
  document.addEventListener('visibilitychange', look)
  observer.observe(content[0] as HTMLElement)
}

/** When the package is removed from the palette. */
function closeWithModule({ module }: { module: string }): void {
  if (module !== MODULE) return
  clearTimeout(timer)
  observer.disconnect()
  isVisible = false
  document.removeEventListener('visibilitychange', look)
  RED.events.off('registry:plugin-added', addSections)
  RED.events.off('registry:node-set-removed', closeWithModule)
  RED.actions.remove(ACTION)
  RED.sidebar.removeTab(ID)
}

RED.plugins.registerPlugin('millrace-sidebar', { type: 'millrace-sidebar', onadd: open })
