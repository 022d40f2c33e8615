/** What a `millrace-tasks-events` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import type { Host } from '../shared/node'
import { fits } from '../shared/pattern'
import { short } from '../shared/status'
import type { eventsConfig } from './events.config'
import { brokerOf } from './host'
import type { App, Events, TaskEvent } from './lib'
import { Opener } from './opener'

type Pattern = ReturnType<typeof fits>
type EventsHost = Host<(typeof eventsConfig)['fields']>

export class Hearer {
  private readonly opener: Opener
  private events: Events | undefined
  private heard = 0
  private readonly tasks: Pattern[]
  private readonly queues: Pattern[]

  constructor(private readonly host: EventsHost) {
    const broker = brokerOf(host, host.config.broker)
    this.tasks = host.config.tasks.map(patternOf)
    this.queues = host.config.queues.map(patternOf)
    this.opener = new Opener(
      host,
      broker,
      (app) => this.start(app),
      () => this.show(),
    )
    this.show()
  }

  async close(): Promise<void> {
    await this.opener.end()
    await this.events?.return()
    this.opener.leave()
  }

  private start(app: App): void {
    this.events = app.events()
    this.listen(this.events)
  }

  /** Ends with the events, and never fails: they do not, and neither does what is guarded. */
  private async listen(events: Events): Promise<void> {
    for await (const event of events) if (this.fits(event)) this.host.guard(() => this.emit(event))()
  }

  private emit(event: TaskEvent): void {
    this.heard += 1
    this.show()
    this.host.node.send({ topic: event.event, payload: event } as never)
  }

  private fits({ event, name, queue }: TaskEvent): boolean {
    const { kinds } = this.host.config
    return (kinds.length === 0 || kinds.includes(event)) && among(this.tasks, name) && among(this.queues, queue)
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { events, heard, host } = this
    const { failure } = this.opener
    if (failure) {
      return { fill: failure.retryable ? 'yellow' : 'red', shape: 'ring', text: host.text(`error.${failure.code}`) }
    }
    if (!events) return { fill: 'grey', shape: 'ring', text: host.text('status.opening') }
    const params = { heard: short(heard), dropped: short(events.dropped) }
    const text = events.dropped > 0 ? host.text('status.dropped', params) : host.text('status.heard', params)
    return { fill: 'green', shape: 'dot', text }
  }
}

/** Workers' events have neither a name nor a queue. */
function among(patterns: readonly Pattern[], name: string | undefined): boolean {
  return patterns.length === 0 || (name !== undefined && patterns.some((fitting) => fitting(name)))
}

/** `*` stands for any text, `?` for one character. */
function patternOf(typed: string): Pattern {
  return fits(typed, '?')
}
