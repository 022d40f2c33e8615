/** What the sections of the sidebar are made of. Runs in the browser. */
import type { EditorRED } from 'node-red'
import { keyed } from './keyed'
import type { Refresh } from './section'
import { short } from './status'

declare const RED: EditorRED & {
  notify(text: string, kind: string): void
  utils: { getNodeLabel(node: object, fallback: string): string }
}

/** At once, and not with the next round. */
export function drawNow(refresh: Refresh): void {
  refresh().then(
    (draw) => draw(),
    (error: Error) => RED.notify(error.message, 'error'),
  )
}

export const div = (kind: string) => $('<div>', { class: kind })

export function part(title: string | JQuery[] | null, ...content: JQuery[]): JQuery {
  const head = typeof title === 'string' ? [$('<span>').text(title)] : (title ?? [])
  return div('millrace-sidebar-part').append(head.length > 0 ? $('<header>').append(head) : '', content)
}

export function table(heads: JQuery[], body: JQuery): JQuery {
  return $('<table>').append($('<thead>').append($('<tr>').append(heads)), body)
}

export function headOf(icon: string, name: string): JQuery {
  return $('<th>', { scope: 'col', title: name }).append(
    $('<i>', { class: `fa ${icon}`, role: 'img' }).attr('aria-label', name),
  )
}

/** As `hide`, leaves alone what is the same: to write it again would have the browser draw it again. */
export function put(place: JQuery, text: string): JQuery {
  return place.text() === text ? place : place.text(text)
}

export function hide(place: JQuery, isHidden: boolean): JQuery {
  return place.prop('hidden') === isHidden ? place : place.prop('hidden', isHidden)
}

/** `of`: what it acts on, where there are several such buttons. */
export function button(icon: string, name: string, click: () => void, of?: string): JQuery {
  return $('<button>', { type: 'button', class: 'red-ui-button red-ui-button-small', title: name })
    .attr('aria-label', of === undefined ? name : `${name}: ${of}`)
    .append($('<i>', { class: `fa ${icon}` }))
    .on('click', click)
}

/** How a node is called here and now. */
export interface Called {
  text: string
  type: string
  /** Else it was deleted meanwhile, or is not loaded here: then its name leads nowhere. */
  isThere: boolean
}

export function calledNow({ shown, name, type }: { shown: string; name: string; type: string }): Called {
  const node = RED.nodes.node(shown)
  return { text: (node && RED.utils.getNodeLabel(node, '')) || name || type, type, isThere: Boolean(node) }
}

/** A node's name, which shows where the node is; `nameNode` fills it in. */
export function nodeName(id: string): JQuery {
  return $('<button>', { type: 'button', class: 'millrace-node' }).on('click', () => RED.view.reveal(id))
}

export function nameNode(place: JQuery, { text, type, isThere }: Called): void {
  put(place, text).attr('title', `${text} · ${type}`).prop('disabled', !isThere)
}

/** Figures, each under its name. */
export function showFigures(place: JQuery, figures: readonly [name: string, label: string, text: string][]): void {
  keyed(
    place,
    figures,
    ([name]) => name,
    ([, label]) => $('<div>').append($('<b>'), $('<span>').text(label)),
    (figure, [, , text]) => put(figure.children('b'), text),
  )
}

/** Offers the config nodes of a type that are in the flows of the editor, where there are several; the chosen one's id. */
export function choose(select: JQuery, type: string, fallback: string): string {
  const found: { id: string; name: string }[] = []
  RED.nodes.eachConfig((node) => {
    const { id, type: its, name, path } = node as Record<'id' | 'type' | 'name' | 'path', string>
    if (its === type) found.push({ id, name: name || path || fallback })
    return true
  })
  keyed(
    select,
    found,
    ({ id }) => id,
    ({ id }) => $('<option>', { value: id }),
    (option, { name }) => option.text(name),
  )
  hide(select.closest('.millrace-sidebar-part'), found.length < 2)
  return chosenIn(select)
}

export function chosenIn(select: JQuery): string {
  return String(select.val() ?? '')
}

const UNITS: [label: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** Without its unit. A little is never shown as nothing. */
export function megabytes(bytes: number): string {
  const mb = bytes / (1 << 20)
  return mb < 10 ? String(Math.ceil(mb * 10) / 10) : short(mb)
}

export function age(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1000]
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`
}
