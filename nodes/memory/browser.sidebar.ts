/** The memory in the collection's sidebar: namespaces, their keys, a document with all that it was. */
import type { EditorRED } from 'node-red'
import { act, ask, text } from '../shared/editor'
import { keyed } from '../shared/keyed'
import { button, choose, chosenIn, div, drawNow, hide, megabytes, part, put, showFigures } from '../shared/pieces'
import { type Plugins, SECTION, type Section } from '../shared/section'
import { short } from '../shared/status'
import type { KeyPage, Shown, Timeline, View } from './browsing'
import { STORE } from './fields'

declare const RED: EditorRED & {
  plugins: Plugins
  user: { hasPermission(permission: string): boolean }
}

const ID = 'millrace-memory-browser'
/** So long nothing more is typed before it is looked for. */
const TYPING_MS = 200
const SIGNS = { add: '+', remove: '−', replace: '≠' } as const

const label = (key: string, params?: object) => text({ type: ID }, key, params)

/** A list of pages, each known by where it begins. */
class Pages {
  private starts: (string | null)[] = ['']
  private shown = 0
  readonly back = button('fa-chevron-left', label('button.back'), () => this.turn(-1))
  readonly forth = button('fa-chevron-right', label('button.forth'), () => this.turn(1))

  constructor(private readonly turned: () => void) {}

  /** Where the shown page begins. */
  get start(): string {
    return this.starts[this.shown] ?? ''
  }

  first(): void {
    this.starts = ['']
    this.shown = 0
  }

  /** Where the page behind the shown one begins, where there is one. */
  know(next: string | null): void {
    this.starts[this.shown + 1] = next
    this.back.prop('disabled', this.shown === 0)
    this.forth.prop('disabled', next === null)
  }

  private turn(by: 1 | -1): void {
    this.shown = Math.max(0, this.shown + by)
    this.turned()
  }
}

interface Row {
  name: string
  /** What stands behind it. */
  note: string
  open(): void
}

class Browser {
  private readonly stores = $('<select>').attr('aria-label', label('label.store'))
  private readonly note = div('millrace-sidebar-note')
  private readonly body = div('')
  private readonly figures = div('millrace-figures')
  private readonly up = button('fa-level-up', label('button.up'), () => this.goUp())
  private readonly place = $('<span>')
  private readonly search = $('<input>', { type: 'search', class: 'millrace-search' })
  private readonly names = $('<ul>', { class: 'millrace-names' })
  private readonly pages = new Pages(() => this.again())
  private readonly listNote = div('millrace-muted')
  private readonly list: JQuery
  private readonly versions = $('<ul>', { class: 'millrace-names' })
  private readonly versionPages = new Pages(() => this.again())
  private readonly changes = $('<ul>')
  private readonly changesNote = div('millrace-muted')
  private readonly value = $('<pre>', { class: 'millrace-value', tabindex: 0, 'aria-label': label('label.value') })
  private readonly valueNote = div('millrace-muted')
  private readonly restoring = button('fa-undo', label('button.restore'), () => this.restore())
  private readonly document: JQuery
  private namespace: string | null = null
  private key: string | null = null
  /** Null: the newest, also when there will be a newer one. */
  private version: string | null = null
  /** The version that is drawn: it never changes. */
  private drawn = ''
  private typing: ReturnType<typeof setTimeout> | undefined

  constructor(place: JQuery) {
    const canRestore = RED.user.hasPermission(`${STORE}.write`)
    this.list = div('').append(this.search, this.listNote, this.names)
    this.document = div('').append(
      part([$('<span>').text(label('label.timeline')), this.versionPages.back, this.versionPages.forth], this.versions),
      part(label('label.changes'), this.changes, this.changesNote),
      part(
        [$('<span>').text(label('label.value')), ...(canRestore ? [this.restoring] : [])],
        this.value,
        this.valueNote,
      ),
    )
    this.body.append(
      part(null, this.figures),
      part([this.up, this.place, this.pages.back, this.pages.forth], this.list),
      this.document,
    )
    this.stores.on('change', () => this.go(null))
    this.search.on('input', () => this.typed())
    place.append(part([this.stores]), this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const id = choose(this.stores, STORE, 'memory')
    const where = this.where()
    const isHere = () => chosenIn(this.stores) === id && this.where() === where
    const page = { prefix: String(this.search.val()), after: this.pages.start }
    const view = id ? await this.ask<View>(id, 'view', this.namespace === null ? page : {}) : null
    const list = view && isHere() ? await this.listed(id, view, page) : () => {}
    return () => {
      // Meanwhile something else may have been chosen.
      if (!isHere()) return
      hide(put(this.note, label(id ? 'note.undeployed' : 'note.none')), view !== null)
      hide(this.body, view === null)
      if (!view) return
      this.showStats(view)
      this.showPlace()
      list()
    }
  }

  /** What draws the list, or the document, of where this is. */
  private async listed(id: string, view: View, page: Record<string, string>): Promise<() => void> {
    const { namespace, key } = this
    if (namespace === null) return () => this.showNamespaces(view)
    if (key === null) {
      const found = await this.ask<KeyPage>(id, 'page', { namespace, ...page })
      return () => found && this.showKeys(namespace, found)
    }
    const found = await this.ask<Timeline>(id, 'timeline', { namespace, key, to: this.versionPages.start })
    if (!found) return () => {}
    const version = this.version ?? found.versions[0]?.version ?? ''
    const isDrawn = version === '' || version === this.drawn
    const shown = isDrawn ? null : await this.ask<Shown>(id, 'version', { namespace, key, version })
    return () => {
      this.showVersions(found, version)
      if (shown) this.draw(shown)
    }
  }

  private ask<T>(id: string, name: string, given: Record<string, string>): Promise<T | null> {
    return ask<T>(STORE, id, `${name}?${new URLSearchParams(given)}`)
  }

  /** What is asked for: an answer to something else is of no use. */
  private where(): string {
    const { namespace, key, version, pages, versionPages } = this
    return JSON.stringify([namespace, key, version, pages.start, versionPages.start, this.search.val()])
  }

  /** To all namespaces, the keys of one, or a document. */
  private go(namespace: string | null, key: string | null = null): void {
    this.namespace = namespace
    // Back from a document the list is where it was.
    if (key === null && this.key === null) {
      this.search.val('')
      this.pages.first()
    }
    this.key = key
    this.version = null
    this.drawn = ''
    this.versionPages.first()
    this.again()
  }

  private goUp(): void {
    if (this.key === null) this.go(null)
    else this.go(this.namespace)
    this.search.trigger('focus')
  }

  private typed(): void {
    this.pages.first()
    clearTimeout(this.typing)
    this.typing = setTimeout(() => this.again(), TYPING_MS)
  }

  private showStats({ stats }: View): void {
    showFigures(this.figures, [
      ['namespaces', label('count.namespaces'), short(stats.namespaces)],
      ['keys', label('count.keys'), short(stats.keys)],
      ['versions', label('count.versions'), short(stats.versions)],
      ['disk', label('count.disk'), megabytes(stats.diskBytes)],
    ])
  }

  private showPlace(): void {
    const { namespace, key } = this
    const name = key ?? namespace ?? label('label.namespaces')
    put(this.place, name).attr('title', key === null ? name : `${namespace} / ${key}`)
    hide(this.up, namespace === null)
    hide(this.list, key !== null)
    hide(this.document, key === null)
    for (const turn of [this.pages.back, this.pages.forth]) hide(turn, key !== null)
    const hint = label(namespace === null ? 'label.searchNamespaces' : 'label.searchKeys')
    if (this.search.attr('placeholder') !== hint) this.search.attr({ placeholder: hint, 'aria-label': hint })
  }

  private showNamespaces({ namespaces, next }: View): void {
    this.pages.know(next)
    const rows = namespaces.map(({ name, keys }) => ({ name, note: short(keys), open: () => this.go(name) }))
    this.showNames(rows, rows.length > 0 ? '' : label('note.empty'))
  }

  private showKeys(namespace: string, { keys, near, next }: KeyPage): void {
    this.pages.know(next)
    const rows = (keys.length > 0 ? keys : near).map((key) => ({
      name: key,
      note: '',
      open: () => this.go(namespace, key),
    }))
    this.showNames(rows, keys.length > 0 ? '' : label(near.length > 0 ? 'note.near' : 'note.empty'))
  }

  private showNames(rows: readonly Row[], note: string): void {
    hide(put(this.listNote, note), note === '')
    keyed(
      this.names,
      rows,
      ({ name }) => `${this.namespace ?? ''}\0${name}`,
      ({ name, open }) => $('<li>').append(choice(open).append($('<span>', { title: name }).text(name), $('<span>'))),
      (row, { note }) => row.find('span').last().text(note),
    )
  }

  private showVersions({ versions, next }: Timeline, version: string): void {
    this.versionPages.know(next)
    keyed(
      this.versions,
      versions.map((it) => ({ ...it, isShown: it.version === version })),
      (it) => it.version,
      (it) => $('<li>').append(choice(() => this.open(it.version)).append($('<span>'), $('<span>'))),
      (row, it) => {
        const button = row.children().attr('aria-pressed', String(it.isShown))
        button.children().first().text(new Date(it.time).toLocaleString())
        button
          .children()
          .last()
          .text(it.deleted ? label('note.deleted') : '')
      },
    )
  }

  private open(version: string): void {
    this.version = version
    this.again()
  }

  private draw({ version, deleted, text, length, changes, changeCount, expires }: Shown): void {
    this.drawn = version
    const notes = [
      ...(deleted ? [label('note.deleted')] : []),
      ...(length > text.length ? [label('note.cut', { shown: text.length, length })] : []),
      ...(expires === null ? [] : [label('note.expires', { time: new Date(expires).toLocaleString() })]),
    ]
    this.value.text(text).prop('hidden', deleted)
    this.valueNote.text(notes.join(' · '))
    this.restoring.prop('disabled', deleted)
    const shown = changes ?? []
    keyed(
      this.changes,
      shown,
      ({ op, path }) => `${version} ${op} ${path}`,
      ({ op, path, from, to }) => {
        const parts = [from && `− ${from}`, to && `+ ${to}`].filter(Boolean)
        const head = $('<b>').text(`${SIGNS[op]} ${path || '/'}`)
        return $('<li>', { class: 'millrace-change' }).append(
          div('').append(head, ...parts.map((it) => div('millrace-muted').text(it))),
        )
      },
      () => {},
    )
    const more = changeCount - shown.length
    const note = changes === null ? label('note.incomparable') : more > 0 ? label('note.more', { count: more }) : ''
    this.changesNote.text(changes?.length === 0 ? label('note.same') : note)
  }

  private async restore(): Promise<void> {
    const { namespace, key, drawn: version } = this
    try {
      await act(STORE, chosenIn(this.stores), 'restore', { namespace, key, version })
      this.go(namespace, key)
    } catch (error) {
      RED.notify((error as Error).message, 'error')
    }
  }

  private again(): void {
    drawNow(() => this.refresh())
  }
}

/** A row that can be chosen. */
function choice(click: () => void): JQuery {
  return $('<button>', { type: 'button', class: 'millrace-choice' }).on('click', click)
}

const section: Section = { type: SECTION, title: () => label('label.title'), open: (place) => new Browser(place) }
RED.plugins.registerPlugin(ID, section)
