/** The tasks in the collection's sidebar: a page of its own, and a plugin of the editor. */
import type { EditorRED } from 'node-red'
import { act, ask, text } from '../shared/editor'
import { keyed } from '../shared/keyed'
import { age, button, choose, chosenIn, div, headOf, part, showFigures, table } from '../shared/pieces'
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

  async refresh(): Promise<void> {
    const id = choose(this.brokers, BROKER, 'tasks')
    const view = id ? await ask<Overview>(BROKER, id, 'overview') : null
    // Meanwhile another one may have been chosen.
    if (chosenIn(this.brokers) !== id) return
    this.note.text(label(id ? 'note.undeployed' : 'note.none')).prop('hidden', view !== null)
    this.body.prop('hidden', view === null)
    if (!view) return
    this.showTotals(view)
    this.showQueues(view)
    this.showWorkers(view)
    await this.showDead(id)
    if (Date.now() - this.failuresAt < FAILURES_MS) return
    this.failuresAt = Date.now()
    const failed = await ask<Page>(BROKER, id, 'failures')
    if (chosenIn(this.brokers) !== id) return
    this.showFailed(this.failures, failed?.tasks ?? [], () => [])
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
    keyed(this.queues, queues, ({ name }) => name, this.makeQueue, this.updateQueue)
    this.moreQueues.text(queueCount > queues.length ? label('note.more', { count: queueCount - queues.length }) : '')
  }

  private readonly makeQueue = ({ name }: QueueInfo): JQuery => {
    const cells = Array.from({ length: 5 }, () => $('<td>'))
    if (this.canAct) {
      const toggle = button('fa-pause', label('button.pause'), () => {
        this.act({ command: toggle.attr('data-command'), queue: name })
      })
      cells.push($('<td>').append(toggle))
    }
    return $('<tr>').append(cells)
  }

  private readonly updateQueue = (row: JQuery, queue: QueueInfo): void => {
    const { name, pending, scheduled, retry, running, dead, paused, perSecond, oldestAgeMs } = queue
    const cells = row.children('td')
    const oldest = oldestAgeMs === null ? '' : ` · ${label('note.oldest', { age: age(oldestAgeMs) })}`
    cells.eq(0).text(paused ? label('note.paused', { name }) : name)
    cells.eq(0).attr('title', `${name} · ${rate(perSecond)} ${label('count.perSecond')}${oldest}`)
    for (const [at, count] of [pending, scheduled + retry, running, dead].entries()) {
      cells
        .eq(at + 1)
        .text(short(count))
        .toggleClass('millrace-muted', count === 0)
    }
    const command = paused ? 'resume' : 'pause'
    const name_ = label(`button.${command}`)
    row.find('button').attr({ 'data-command': command, title: name_, 'aria-label': `${name_}: ${name}` })
    row.find('i').attr('class', `fa fa-${paused ? 'play' : 'pause'}`)
  }

  private showWorkers({ workers, workerCount }: Overview): void {
    keyed(
      this.workers,
      workers,
      (worker) => `${(worker as WorkerInfo & { number?: number }).number ?? ''} ${worker.name}`,
      ({ name }) => $('<tr>').append($('<td>', { title: name }).text(name), $('<td>'), $('<td>')),
      (row, { running, prefetch, finished }) => {
        row
          .children()
          .eq(1)
          .text(`${short(running)}/${short(prefetch)}`)
        row.children().eq(2).text(short(finished))
      },
    )
    const more = workerCount > workers.length ? label('note.more', { count: workerCount - workers.length }) : ''
    this.moreWorkers.text(workerCount === 0 ? label('note.noWorkers') : more)
  }

  private async showDead(id: string): Promise<void> {
    const at = this.shownPage
    const page = await ask<Page>(BROKER, id, `dead?after=${encodeURIComponent(this.pages[at] ?? '')}`)
    // Meanwhile another page may have been turned to.
    if (!page || at !== this.shownPage || chosenIn(this.brokers) !== id) return
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
    const rows = tasks.length > 0 ? tasks : [null]
    keyed(
      place,
      rows,
      (task) => task?.id ?? '',
      (task) => {
        if (!task) return $('<li>', { class: 'millrace-muted' }).text(label('note.noTasks'))
        const { id, name, error, queue } = task
        const head = $('<div>').append($('<b>').text(name), ' ', $('<span>', { class: 'millrace-age' }))
        const what = $('<div>', { class: 'millrace-muted', title: error }).text(error)
        return $('<li>', { title: `${queue} · ${id}` }).append($('<div>').append(head, what), ...buttons(task))
      },
      (row, task) => {
        if (task?.at) row.find('.millrace-age').text(label('note.ago', { age: age(Date.now() - task.at) }))
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
      await this.refresh()
    } catch (error) {
      RED.notify((error as Error).message, 'error')
    }
  }

  /** At once, and not with the next round. */
  private again(): void {
    this.refresh().catch((error: Error) => RED.notify(error.message, 'error'))
  }
}

function rate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : short(perSecond)
}

const section: Section = { type: SECTION, title: () => label('label.title'), open: (place) => new Monitor(place) }
RED.plugins.registerPlugin(ID, section)
