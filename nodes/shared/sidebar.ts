/** The one sidebar of the collection, a plugin of the editor. What it shows are sections, each a plugin of its family. */
import type { EditorRED } from 'node-red'
import { text } from './editor'
import { hide, put } from './pieces'
import { type Plugins, type Refresh, SECTION, type Section } from './section'

declare const RED: EditorRED & {
  plugins: Plugins
  sidebar: { addTab(options: object): void; removeTab(id: string): void; show(id: string): void }
  actions: { add(name: string, action: () => void): void; remove(name: string): void }
}

const ID = 'millrace'
const ACTION = 'millrace:show-sidebar'
const MODULE = '@millrace/node-red'
/** So long what is shown is new enough. */
const PAUSE_MS = 4000
/** An answer waits so long for others: to draw a little takes the browser as long as to draw much. */
const GATHER_MS = 50

interface Place {
  details: JQuery
  problem: JQuery
  body: JQuery
  shown: { refresh: Refresh }
  isSeen: boolean
  refreshedAt: number
}

const label = (key: string, params?: object) => text({ type: 'millrace-sidebar' }, key, params)
const content = $('<div>', { class: 'millrace-sidebar' })
const places = new Map<object, Place>()
let isLooking = false
let timer: ReturnType<typeof setTimeout> | undefined

/** What only touches the edge of what can be seen is not seen: hence a threshold above 0. */
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const place = [...places.values()].find(({ details }) => details[0] === target)
      if (place) place.isSeen = isIntersecting
    }
    look()
  },
  { threshold: Number.EPSILON },
)

/** Asks only for what can be seen, and one round after the other; the next is when the oldest is not new enough any more. */
async function look(): Promise<void> {
  clearTimeout(timer)
  if (document.hidden || isLooking) return
  isLooking = true
  // What comes into sight meanwhile has its turn at once.
  for (let due = allThat(isDue); due.length > 0; due = allThat(isDue)) await Promise.all(due.map(refresh))
  isLooking = false
  const oldest = Math.min(...allThat(isWanted).map(({ refreshedAt }) => refreshedAt))
  if (Number.isFinite(oldest)) timer = setTimeout(look, Math.ceil(oldest + PAUSE_MS - performance.now()))
}

function allThat(is: (place: Place) => boolean): Place[] {
  return [...places.values()].filter(is)
}

/** Open, and in sight. */
function isWanted({ details, isSeen }: Place): boolean {
  return isSeen && details.prop('open') === true
}

/** The newer ones wait for the next round, and the others come before their time: so all come to be asked together. */
function isDue(place: Place): boolean {
  return isWanted(place) && performance.now() - place.refreshedAt >= PAUSE_MS / 2
}

let gathering: Promise<void> | undefined

function gathered(): Promise<void> {
  gathering ??= new Promise((done) => {
    setTimeout(() => {
      gathering = undefined
      done()
    }, GATHER_MS)
  })
  return gathering
}

async function refresh(place: Place): Promise<void> {
  let problem = ''
  try {
    const draw = await place.shown.refresh()
    await gathered()
    draw()
    hide(place.body, false)
  } catch (error) {
    problem = label('problem', { reason: (error as Error).message })
  }
  hide(put(place.problem, problem), problem === '')
  place.refreshedAt = performance.now()
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
      isSeen: false,
      refreshedAt: Number.NEGATIVE_INFINITY,
    }
    places.set(plugin, place)
    observer.observe(details[0] as HTMLElement)
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
}

/** When the package is removed from the palette. */
function closeWithModule({ module }: { module: string }): void {
  if (module !== MODULE) return
  clearTimeout(timer)
  observer.disconnect()
  places.clear()
  document.removeEventListener('visibilitychange', look)
  RED.events.off('registry:plugin-added', addSections)
  RED.events.off('registry:node-set-removed', closeWithModule)
  RED.actions.remove(ACTION)
  RED.sidebar.removeTab(ID)
}

RED.plugins.registerPlugin('millrace-sidebar', { type: 'millrace-sidebar', onadd: open })
