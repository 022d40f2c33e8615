/** The recent errors in the collection's sidebar: a page of its own, and a plugin of the editor. */
import type { EditorRED } from 'node-red'
import { ask, text } from './editor'
import { keyed } from './keyed'
import { age, calledNow, div, hide, nameNode, nodeName, part, put } from './pieces'
import type { Failure } from './running'
import { type Plugins, SECTION, type Section } from './section'

declare const RED: EditorRED & { plugins: Plugins }

const ID = 'millrace-shared-failures'
const label = (key: string, params?: object) => text({ type: ID }, key, params)

class Failures {
  private readonly note = div('millrace-sidebar-note').text(label('note.none'))
  private readonly list = $('<ul>')
  private readonly body = part(null, this.list)

  constructor(place: JQuery) {
    place.append(this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const found = (await ask<Failure[]>(ID, 'all', 'list')) ?? []
    return () => this.draw(found)
  }

  private draw(found: readonly Failure[]): void {
    hide(this.note, found.length > 0)
    hide(this.body, found.length === 0)
    keyed(
      this.list,
      found.map(lineOf),
      ({ id, code, message }) => `${id} ${code} ${message}`,
      ({ shown, code, message }) => {
        const head = div('millrace-head').append(nodeName(shown), $('<span>', { class: 'millrace-muted' }))
        const what = div('millrace-muted').append(code === '' ? '' : $('<b>').text(code), ` ${message}`)
        return $('<li>').append(div('').append(head, what.attr('title', message)))
      },
      (row, { called, when }) => {
        nameNode(row.find('button'), called)
        put(row.find('span'), when)
      },
    )
  }
}

/** What is shown of a failure. */
function lineOf(failure: Failure) {
  const { id, shown, code, message, count, at } = failure
  const since = label('note.ago', { age: age(Date.now() - at) })
  return { id, shown, code, message, called: calledNow(failure), when: count > 1 ? `${count} × · ${since}` : since }
}

const section: Section = {
  type: SECTION,
  title: () => label('label.title'),
  open: (place) => new Failures(place),
}
RED.plugins.registerPlugin(ID, section)
