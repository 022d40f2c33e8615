/** The ROS 2 graph in the collection's sidebar: what is in the domain of a context. */
import type { EditorRED } from 'node-red'
import { ask, text } from '../shared/editor'
import { keyed } from '../shared/keyed'
import { choose, chosenIn, div, drawNow, hide, part, put, showFigures } from '../shared/pieces'
import { type Plugins, SECTION, type Section } from '../shared/section'
import { short } from '../shared/status'
import { CONTEXT, type Domain, type Found, kinds } from './finding'

declare const RED: EditorRED & { plugins: Plugins }

const ID = 'millrace-ros2-domain'
/** So long nothing more is typed before it is looked for. */
const TYPING_MS = 200
const label = (key: string, params?: object) => text({ type: ID }, key, params)

class Graph {
  private readonly contexts = $('<select>').attr('aria-label', label('label.context'))
  private readonly note = div('millrace-sidebar-note')
  private readonly body = div('')
  private readonly figures = div('millrace-figures')
  private readonly search = $('<input>', { type: 'search', class: 'millrace-search' })
  private readonly lists = kinds.map((kind) => {
    const list = $('<ul>', { class: 'millrace-names' })
    const more = div('millrace-muted')
    return { kind, list, more, part: part(label(`label.${kind}`), list, more) }
  })
  private typing: ReturnType<typeof setTimeout> | undefined

  constructor(place: JQuery) {
    const hint = label('label.search')
    this.search.attr({ placeholder: hint, 'aria-label': hint })
    this.body.append(part(null, this.figures), part(null, this.search), ...this.lists.map((list) => list.part))
    this.contexts.on('change', () => this.again())
    this.search.on('input', () => {
      clearTimeout(this.typing)
      this.typing = setTimeout(() => this.again(), TYPING_MS)
    })
    place.append(part([this.contexts]), this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const id = choose(this.contexts, CONTEXT, 'context')
    const search = String(this.search.val())
    const found = id ? await ask<Domain>(CONTEXT, id, `domain?${new URLSearchParams({ search })}`) : null
    return () => {
      // Meanwhile something else may have been asked for.
      if (chosenIn(this.contexts) === id && this.search.val() === search) this.draw(id, found)
    }
  }

  private draw(id: string, found: Domain | null): void {
    const graph = found?.graph
    put(this.note, found?.problem ?? label(`note.${found?.state ?? (id ? 'undeployed' : 'none')}`))
    hide(this.note, Boolean(graph))
    hide(this.body, !graph)
    if (!graph) return
    showFigures(
      this.figures,
      kinds.map((kind) => [kind, label(`label.${kind}`), short(graph[kind].all)]),
    )
    for (const { kind, list, more, part } of this.lists) {
      const { shown, fitting } = graph[kind]
      hide(part, shown.length === 0)
      keyed(list, shown, keyOf, makeRow, () => {})
      put(more, fitting > shown.length ? label('note.more', { count: fitting - shown.length }) : '')
    }
  }

  private again(): void {
    drawNow(() => this.refresh())
  }
}

const keyOf = ({ name, types }: Found) => [name, ...types].join(' ')

function makeRow({ name, types }: Found): JQuery {
  const type = types.join(', ')
  const line = div('').append($('<div>').text(name), type ? div('millrace-muted').text(type) : '')
  return $('<li>', { title: type ? `${name} · ${type}` : name }).append(line)
}

const section: Section = {
  type: SECTION,
  title: () => label('label.title'),
  open: (place) => new Graph(place),
}
RED.plugins.registerPlugin(ID, section)
