/** The tasks in the collection's sidebar: a page of its own, and a plugin of the editor. */
import type { EditorRED } from 'node-red'
import { act, ask, text } from '../shared/editor'
import { keyed } from '../shared/keyed'
import {
  age,
  button,
  calledNow,
  choose,
  chosenIn,
  div,
  drawNow,
  headOf,
  hide,
  part,
  put,
  showFigures,
  table,
} from '../shared/pieces'
import { type Plugins, SECTION, type Section } from '../shared/section'
import { short } from '../shared/status'
import { BROKER } from './fields'
import type { QueueInfo, WorkerInfo } from './lib'
import type { Failed, Overview, Page } from './overview'

declare const RED: EditorRED & {
  plugins: Plugins
  user: { hasPermission(permission: string): boolean }
}

const ID = 'millrace-tasks-monitor'
/** Failures are looked for among all results: not as often as the rest. */
const FAILURES_MS = 10_000

const label = (key: string, params?: object) => text({ type: ID }, key, params)

class Monitor {
  private readonly brokers = $('<select>').attr('aria-label', label('label.broker'))
  private readonly note = div('millrace-sidebar-note')
  private readonly body = div('')
  private readonly figures = div('millrace-figures')
  private readonly queues = $('<tbody>')
  private readonly moreQueues = div('millrace-muted')
  private readonly workers = $('<tbody>')
  private readonly moreWorkers = div('millrace-muted')
  private readonly failures = $('<ul>')
  private readonly dead = $('<ul>')
  private readonly back = button('fa-chevron-left', label('button.back'), () => this.turn(-1))
  private readonly forth = button('fa-chevron-right', label('button.forth'), () => this.turn(1))
  private readonly canAct = RED.user.hasPermission(`${BROKER}.write`)
  /** Where each page of the dead begins, up to that which follows the shown one. */
  private pages: (string | null)[] = ['']
  private shownPage = 0
  private failuresAt = 0

  constructor(place: JQuery) {
    const columns = ['pending', 'later', 'running', 'dead']
    const icons = ['fa-inbox', 'fa-clock-o', 'fa-cog', 'fa-times-circle']
    const heads = columns.map((name, at) => headOf(icons[at] as string, label(`count.${name}`)))
    const all = this.canAct
      ? [
          button('fa-repeat', label('button.retryAll'), () => this.askFirst('retryDead')),
          button('fa-trash-o', label('button.deleteAll'), () => this.askFirst('deleteDead')),
        ]
      : []
    this.body.append(
      part(null, this.figures),
      part(
        label('label.queues'),
        table([$('<th>').text(label('label.name')), ...heads, ...(this.canAct ? [$('<th>')] : [])], this.queues),
        this.moreQueues,
      ),
      part(
        label('label.workers'),
        table(
          [
            $('<th>').text(label('label.name')),
            headOf('fa-cog', label('count.running')),
            headOf('fa-check', label('count.finished')),
          ],
          this.workers,
        ),
        this.moreWorkers,
      ),
      part(label('label.failures'), this.failures),
      part([$('<span>').text(label('label.dead')), this.back, this.forth, ...all], this.dead),
    )
    this.brokers.on('change', () => this.choose())
    place.append(part([this.brokers]), this.note, this.body)
  }

  async refresh(): Promise<() => void> {
    const id = choose(this.brokers, BROKER, 'tasks')
    const at = this.shownPage
    const after = encodeURIComponent(this.pages[at] ?? '')
    const isFailuresTime = Date.now() - this.failuresAt >= FAILURES_MS
    const [view, dead, failed] = id
      ? await Promise.all([
          ask<Overview>(BROKER, id, 'overview'),
          ask<Page>(BROKER, id, `dead?after=${after}`),
          isFailuresTime ? ask<Page>(BROKER, id, 'failures') : null,
        ])
      : [null, null, null]
    return () => {
      // Meanwhile another one may have been chosen.
      if (chosenIn(this.brokers) !== id) return
      this.draw(id, view)
      if (!view) return
      this.showDead(dead, at)
      if (!failed) return
      this.failuresAt = Date.now()
      this.showFailed(this.failures, failed.tasks, () => [])
    }
  }

  private draw(id: string, view: Overview | null): void {
    hide(put(this.note, label(id ? 'note.undeployed' : 'note.none')), view !== null)
    hide(this.body, view === null)
    if (!view) return
    this.showTotals(view)
    this.showQueues(view)
    this.showWorkers(view)
  }

  /** Of another broker nothing is known yet. */
  private choose(): void {
    this.pages = ['']
    this.shownPage = 0
    this.failuresAt = 0
    this.again()
  }

  private showTotals({ totals }: Overview): void {
    const names = ['pending', 'later', 'running', 'dead', 'perSecond'] as const
    const text = (name: (typeof names)[number]) => (name === 'perSecond' ? rate(totals[name]) : short(totals[name]))
    showFigures(
      this.figures,
      names.map((name) => [name, label(`count.${name}`), text(name)]),
    )
  }

  private showQueues({ queues, queueCount }: Overview): void {
    keyed(this.queues, queues.map(queueLine), ({ name }) => name, this.makeQueue, updateQueue)
    put(this.moreQueues, queueCount > queues.length ? label('note.more', { count: queueCount - queues.length }) : '')
  }

  private readonly makeQueue = ({ name }: QueueLine): JQuery => {
    const cells = Array.from({ length: 5 }, () => $('<td>'))
    if (this.canAct) {
      const toggle = button('fa-pause', label('button.pause'), () => {
        this.act({ command: toggle.attr('data-command'), queue: name })
      })
      cells.push($('<td>').append(toggle))
    }
    return $('<tr>').append(cells)
  }

  private showWorkers({ workers, workerCount }: Overview): void {
    keyed(
      this.workers,
      workers.map(workerLine),
      ({ key }) => key,
      () => $('<tr>').append($('<td>'), $('<td>'), $('<td>')),
      (row, { name, texts }) => {
        put(row.children().first(), name).attr('title', name)
        for (const [at, text] of texts.entries()) put(row.children().eq(at + 1), text)
      },
    )
    const more = workerCount > workers.length ? label('note.more', { count: workerCount - workers.length }) : ''
    put(this.moreWorkers, workerCount === 0 ? label('note.noWorkers') : more)
  }

  private showDead(page: Page | null, at: number): void {
    // Meanwhile another page may have been turned to.
    if (!page || at !== this.shownPage) return
    this.pages[at + 1] = page.next
    this.back.prop('disabled', at === 0)
    this.forth.prop('disabled', page.next === null)
    // The rest of a page may have been deleted.
    if (page.tasks.length === 0 && at > 0) this.shownPage -= 1
    this.showFailed(this.dead, page.tasks, ({ id, name }) => {
      if (!this.canAct) return []
      return [
        button('fa-repeat', label('button.retry'), () => this.act({ command: 'retryDead', id }), name),
        button('fa-trash-o', label('button.delete'), () => this.act({ command: 'deleteDead', id }), name),
      ]
    })
  }

  private showFailed(place: JQuery, tasks: readonly Failed[], buttons: (task: Failed) => JQuery[]): void {
    const rows = tasks.length > 0 ? tasks.map((task) => ({ task, ago: agoOf(task) })) : [null]
    keyed(
      place,
      rows,
      (row) => row?.task.id ?? '',
      (row) => {
        if (!row) return $('<li>', { class: 'millrace-muted' }).text(label('note.noTasks'))
        const { task } = row
        const { id, name, error, queue } = task
        const head = $('<div>').append($('<b>').text(name), ' ', $('<span>', { class: 'millrace-age' }))
        const what = $('<div>', { class: 'millrace-muted', title: error }).text(error)
        return $('<li>', { title: `${queue} · ${id}` }).append($('<div>').append(head, what), ...buttons(task))
      },
      (element, row) => {
        if (row) put(element.find('.millrace-age'), row.ago)
      },
    )
  }

  private turn(by: 1 | -1): void {
    this.shownPage = Math.max(0, this.shownPage + by)
    this.again()
  }

  /** What concerns all of them is not done by a slip of the finger. */
  private askFirst(command: 'retryDead' | 'deleteDead'): void {
    const notice = RED.notify(label(`ask.${command}`), {
      modal: true,
      fixed: true,
      buttons: [
        { text: label('button.cancel'), click: () => notice.close() },
        {
          text: label(command === 'retryDead' ? 'button.retryAll' : 'button.deleteAll'),
          class: 'primary',
          click: () => {
            notice.close()
            this.act({ command })
          },
        },
      ],
    } as never) as unknown as { close(): void }
  }

  private async act(given: object): Promise<void> {
    try {
      await act(BROKER, chosenIn(this.brokers), 'act', given)
      const draw = await this.refresh()
      draw()
    } catch (error) {
      RED.notify((error as Error).message, 'error')
    }
  }

  private again(): void {
    drawNow(() => this.refresh())
  }
}

/** What is shown of a queue. */
interface QueueLine extends Pick<QueueInfo, 'name' | 'paused'> {
  rate: string
  /** Of the oldest task that waits. */
  age: string | null
  counts: number[]
}

function queueLine(queue: QueueInfo): QueueLine {
  const { name, pending, scheduled, retry, running, dead, paused, perSecond, oldestAgeMs } = queue
  return {
    ...{ name, paused, rate: rate(perSecond) },
    age: oldestAgeMs === null ? null : age(oldestAgeMs),
    counts: [pending, scheduled + retry, running, dead],
  }
}

function updateQueue(row: JQuery, { name, paused, rate, age, counts }: QueueLine): void {
  const oldest = age === null ? '' : ` · ${label('note.oldest', { age })}`
  const title = `${name} · ${rate} ${label('count.perSecond')}${oldest}`
  const cells = row.children('td')
  put(cells.eq(0), paused ? label('note.paused', { name }) : name).attr('title', title)
  for (const [at, count] of counts.entries()) {
    put(cells.eq(at + 1), short(count)).toggleClass('millrace-muted', count === 0)
  }
  const command = paused ? 'resume' : 'pause'
  const does = label(`button.${command}`)
  row.find('button').attr({ 'data-command': command, title: does, 'aria-label': `${does}: ${name}` })
  row.find('i').attr('class', `fa fa-${paused ? 'play' : 'pause'}`)
}

/** What is shown of a worker. */
function workerLine(worker: WorkerInfo) {
  const { name, running, prefetch, finished } = worker
  const key = `${(worker as WorkerInfo & { number?: number }).number ?? ''} ${name}`
  // A worker without a name has its node's id as one.
  const called = calledNow({ shown: name, name, type: '' }).text
  return { key, name: called, texts: [`${short(running)}/${short(prefetch)}`, short(finished)] }
}

function agoOf({ at }: Failed): string {
  return at ? label('note.ago', { age: age(Date.now() - at) }) : ''
}

function rate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : short(perSecond)
}

const section: Section = { type: SECTION, title: () => label('label.title'), open: (place) => new Monitor(place) }
RED.plugins.registerPlugin(ID, section)
