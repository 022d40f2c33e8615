/** The connections in the collection's sidebar: each with its state, and with the nodes that it serves badly. */
import type { EditorRED } from 'node-red'
import { ask, text } from './editor'
import { keyed } from './keyed'
import type { Connection, Connections as View } from './listing'
import { age, div, nameNode, nodeName, part, put } from './pieces'
import { type Plugins, REST_MS, SECTION, type Section } from './section'

declare const RED: EditorRED & { plugins: Plugins }

const ID = 'millrace-shared-connections'
/** Of those that a connection serves badly. */
const USERS_MAX = 5
const label = (key: string, params?: object) => text({ type: ID }, key, params)

/** As the editor keeps it. */
interface User {
  id: string
  name: string
  type: string
  status?: { fill?: string; text?: string }
}

class Connections {
  private readonly note = div('millrace-sidebar-note').text(label('note.none'))
  private readonly list = $('<ul>')
  private readonly more = div('millrace-muted')
  private readonly body = part(null, this.list, this.more)

  constructor(place: JQuery) {
    place.append(this.note, this.body)
  }

  async refresh(): Promise<void> {
    const view = await ask<View>(ID, 'all', 'list')
    const { connections = [], count = 0, failed = 0 } = view ?? {}
    this.note.prop('hidden', count > 0)
    this.body.prop('hidden', count === 0)
    keyed(this.list, connections, ({ id }) => id, makeRow, updateRow)
    const rest = count > connections.length ? label('note.more', { count: count - connections.length, failed }) : ''
    this.more.text(rest)
  }
}

function makeRow({ shown }: Connection): JQuery {
  const head = div('millrace-head').append(
    nodeName(shown),
    $('<span>', { class: 'millrace-muted' }),
    $('<span>', { class: 'millrace-state' }),
  )
  return $('<li>').append(div('').append(head, div('millrace-muted millrace-why'), $('<ul>')))
}

function updateRow(row: JQuery, connection: Connection): void {
  const { type, state, error, last, shown } = connection
  const place = row.children('div')
  const head = place.children('.millrace-head')
  nameNode(head.children('button'), connection)
  const users = (RED.nodes.node(shown) as { users?: User[] } | null)?.users
  const used = users ? ` · ${label('note.users', { count: users.length })}` : ''
  put(head.children('.millrace-muted'), type.replace('millrace-', '') + used)
  const isBad = state === 'failed'
  head
    .children('.millrace-state')
    .text(label(`state.${state}`))
    .toggleClass('millrace-bad', isBad)
  const why =
    error?.message ?? (last ? `${label('note.ago', { age: age(Date.now() - last.at) })}: ${last.message}` : '')
  put(place.children('.millrace-why'), why)
    .attr('title', why)
    .prop('hidden', why === '')
  const bad = (users ?? []).filter(({ status }) => status?.fill === 'red' || status?.fill === 'yellow')
  keyed(
    place.children('ul'),
    bad.slice(0, USERS_MAX),
    ({ id }) => id,
    ({ id }) => $('<li>').append(div('millrace-head').append(nodeName(id), $('<span>', { class: 'millrace-muted' }))),
    (line, { id, name, type, status }) => {
      nameNode(line.find('button'), { shown: id, name, type })
      put(line.find('span'), status?.text ?? '')
    },
  )
}

const section: Section = {
  type: SECTION,
  restMs: REST_MS,
  title: () => label('label.title'),
  open: (place) => new Connections(place),
}
RED.plugins.registerPlugin(ID, section)
