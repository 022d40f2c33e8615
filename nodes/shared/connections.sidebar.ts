/** The connections in the collection's sidebar: each with its state, and with the nodes that it serves badly. */
import type { EditorRED } from 'node-red'
import { ask, text } from './editor'
import { keyed } from './keyed'
import type { Connection, Connections as View } from './listing'
import { age, type Called, calledNow, div, hide, nameNode, nodeName, part, put } from './pieces'
import { type Plugins, SECTION, type Section } from './section'

declare const RED: EditorRED & {
  plugins: Plugins
  nodes: { workspace(id: string): { disabled?: boolean } | null }
}

const ID = 'millrace-shared-connections'
/** Of those that a connection serves badly. */
const USERS_MAX = 5
const label = (key: string, params?: object) => text({ type: ID }, key, params)

/** As the editor keeps it. */
interface User {
  id: string
  name: string
  type: string
  /** Disabled; its tab may be, too. */
  d?: boolean
  z: string
  status?: { fill?: string; text?: string }
}

/** What is shown of a connection. */
interface Line extends Pick<Connection, 'id' | 'shown' | 'state'> {
  called: Called
  type: string
  users: number | null
  error: string | null
  last: { age: string; message: string } | null
  bad: { id: string; called: Called; status: string }[]
}

class Connections {
  private readonly note = div('millrace-sidebar-note').text(label('note.none'))
  private readonly list = $('<ul>')
  private readonly more = div('millrace-muted')
  private readonly body = part(null, this.list, this.more)

  constructor(place: JQuery) {
    place.append(this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const view = await ask<View>(ID, 'all', 'list')
    return () => this.draw(view)
  }

  private draw(view: View | null): void {
    const { connections = [], count = 0, failed = 0 } = view ?? {}
    hide(this.note, count > 0)
    hide(this.body, count === 0)
    keyed(this.list, connections.map(lineOf), ({ id }) => id, makeRow, updateRow)
    const rest = count > connections.length ? label('note.more', { count: count - connections.length, failed }) : ''
    put(this.more, rest)
  }
}

/** What is disabled uses nothing. */
function isEnabled({ d, z }: User): boolean {
  return !d && !RED.nodes.workspace(z)?.disabled
}

function lineOf(connection: Connection): Line {
  const { id, shown, type, state, error, last } = connection
  const users = (RED.nodes.node(shown) as { users?: User[] } | null)?.users?.filter(isEnabled)
  const bad = (users ?? []).filter(({ status }) => status?.fill === 'red' || status?.fill === 'yellow')
  return {
    ...{ id, shown, state, type, called: calledNow(connection) },
    users: users?.length ?? null,
    error: error?.message ?? null,
    last: last && { age: age(Date.now() - last.at), message: last.message },
    bad: bad.slice(0, USERS_MAX).map(({ id, name, type, status }) => {
      return { id, called: calledNow({ shown: id, name, type }), status: status?.text ?? '' }
    }),
  }
}

function makeRow({ shown }: Line): JQuery {
  const head = div('millrace-head').append(
    nodeName(shown),
    $('<span>', { class: 'millrace-muted' }),
    $('<span>', { class: 'millrace-state' }),
  )
  return $('<li>').append(div('').append(head, div('millrace-muted millrace-why'), $('<ul>')))
}

function updateRow(row: JQuery, { called, type, users, state, error, last, bad }: Line): void {
  const used = users === null ? '' : ` · ${label('note.users', { count: users })}`
  const ago = last ? `${label('note.ago', { age: last.age })}: ${last.message}` : ''
  const why = error ?? ago
  const place = row.children('div')
  const head = place.children('.millrace-head')
  nameNode(head.children('button'), called)
  put(head.children('.millrace-muted'), type.replace('millrace-', '') + used)
  put(head.children('.millrace-state'), label(`state.${state}`)).toggleClass('millrace-bad', state === 'failed')
  hide(put(place.children('.millrace-why'), why).attr('title', why), why === '')
  keyed(
    place.children('ul'),
    bad,
    ({ id }) => id,
    ({ id }) => $('<li>').append(div('millrace-head').append(nodeName(id), $('<span>', { class: 'millrace-muted' }))),
    (line, { called, status }) => {
      nameNode(line.find('button'), called)
      put(line.find('span'), status)
    },
  )
}

const section: Section = {
  type: SECTION,
  title: () => label('label.title'),
  open: (place) => new Connections(place),
}
RED.plugins.registerPlugin(ID, section)
