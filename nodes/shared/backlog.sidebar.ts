/** The spools and outboxes in the collection's sidebar: what waits on the disk for another side. */
import type { EditorRED } from 'node-red'
import { ask, text } from './editor'
import { keyed } from './keyed'
import type { Backlogs, Keeper } from './listing'
import {
  age,
  type Called,
  calledNow,
  div,
  headOf,
  hide,
  megabytes,
  nameNode,
  nodeName,
  part,
  put,
  showFigures,
  table,
} from './pieces'
import type { Backlog } from './running'
import { type Plugins, SECTION, type Section } from './section'
import { short } from './status'

declare const RED: EditorRED & { plugins: Plugins }

const ID = 'millrace-shared-backlog'
const label = (key: string, params?: object) => text({ type: ID }, key, params)
const columns = ['records', 'mb', 'oldest', 'dropped'] as const
const icons = ['fa-inbox', 'fa-hdd-o', 'fa-clock-o', 'fa-trash-o']

/** What is shown of one that keeps something. */
interface Line extends Pick<Keeper, 'id' | 'shown'> {
  called: Called
  texts: string[]
}

class Waiting {
  private readonly note = div('millrace-sidebar-note').text(label('note.none'))
  private readonly figures = div('millrace-figures')
  private readonly rows = $('<tbody>')
  private readonly more = div('millrace-muted')
  private readonly body = div('')

  constructor(place: JQuery) {
    const heads = columns.map((name, at) => headOf(icons[at] as string, label(`count.${name}`)))
    const list = table([$('<th>').text(label('label.name')), ...heads], this.rows).addClass('millrace-wide')
    this.body.append(part(null, this.figures), part(null, list, this.more))
    place.append(this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const view = await ask<Backlogs>(ID, 'all', 'list')
    return () => this.draw(view)
  }

  private draw(view: Backlogs | null): void {
    const { keepers = [], count = 0, total } = view ?? {}
    hide(this.note, count > 0)
    hide(this.body, count === 0)
    if (!total) return
    const sums = textsOf(total)
    showFigures(
      this.figures,
      columns.map((name, at) => [name, label(`count.${name}`), sums[at] as string]),
    )
    keyed(this.rows, keepers.map(lineOf), ({ id }) => id, makeRow, updateRow)
    put(this.more, count > keepers.length ? label('note.more', { count: count - keepers.length }) : '')
  }
}

function lineOf(keeper: Keeper): Line {
  const { id, shown } = keeper
  return { id, shown, called: calledNow(keeper), texts: textsOf(keeper) }
}

function makeRow({ shown }: Line): JQuery {
  return $('<tr>').append($('<td>').append(nodeName(shown)), ...columns.map(() => $('<td>')))
}

function updateRow(row: JQuery, { called, texts }: Line): void {
  const cells = row.children('td')
  nameNode(cells.eq(0).children(), called)
  for (const [at, text] of texts.entries()) put(cells.eq(at + 1), text)
}

/** In the order of the columns. */
function textsOf({ records, bytes, oldestMs, dropped }: Backlog): string[] {
  return [short(records), megabytes(bytes), oldestMs === null ? '–' : age(Date.now() - oldestMs), short(dropped)]
}

const section: Section = {
  type: SECTION,
  title: () => label('label.title'),
  open: (place) => new Waiting(place),
}
RED.plugins.registerPlugin(ID, section)
