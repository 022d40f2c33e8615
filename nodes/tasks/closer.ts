/** What a `millrace-tasks-done` node does with a message: it reports on the task that the message carries. */
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { find, type Ticket } from './desk'
import type { doneConfig } from './done.config'
import type { Running } from './lib'

const ERROR_TYPE = /^([A-Z]\w*(?:Error|Exception))\b/

type DoneHost = Host<(typeof doneConfig)['fields']>

export class Closer {
  private recorded = 0

  constructor(private readonly host: DoneHost) {
    // What the one before it recorded is not its own.
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const { tasks } = message as { tasks?: Partial<Ticket> | null }
    if (typeof tasks?.id !== 'string') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.ticket', { given: quote(tasks) }))
    }
    if (!(await this.report(find(tasks), message))) {
      throw new EngineError('NOT_FOUND', this.host.text('failure.late', { id: tasks.id }))
    }
    this.recorded += 1
    this.show()
    reply.send(message)
    reply.done()
  }

  private show(): void {
    this.host.status(() => {
      const text = this.host.text('status.recorded', { recorded: short(this.recorded) })
      return counted(this.recorded, text)
    })
  }

  private report(running: Running, { payload, error }: Message): Promise<boolean> {
    const { outcome, delay } = this.host.config
    const failed = outcome === 'failure' || (outcome === 'auto' && error !== undefined)
    if (failed) return running.fail(typed(error) ?? payload)
    if (outcome === 'progress') return running.progress(payload)
    if (outcome !== 'retry') return running.done(payload)
    return running.retry({ ...(delay !== null && { delayMs: delay * 1000 }), error: typed(error) ?? payload })
  }
}

/** A Catch node has the type of an error in its text alone, where it begins: `TypeError: …`. Policies go by it. */
function typed(error: unknown): unknown {
  const { name, type, message } = (error ?? {}) as Record<string, unknown>
  const found = name ?? type ?? (typeof message === 'string' ? ERROR_TYPE.exec(message)?.[1] : undefined)
  return error instanceof Error || found === undefined ? error : { ...(error as object), type: found }
}
