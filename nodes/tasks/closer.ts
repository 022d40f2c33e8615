/** What a `millrace-tasks-done` node does with a message: it reports on the task that the message carries. */
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { find, type Ticket, takeBack } from './desk'
import type { doneConfig } from './done.config'
import type { Running } from './lib'

type DoneHost = Host<(typeof doneConfig)['fields']>

export class Closer {
  constructor(private readonly host: DoneHost) {}

  async input(message: Message, reply: Reply): Promise<void> {
    const { tasks } = message as { tasks?: Partial<Ticket> | null }
    if (typeof tasks?.id !== 'string') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.ticket', { given: quote(tasks) }))
    }
    const { running, ticket } = find(tasks)
    const { outcome } = this.host.config
    const inTime = await this.report(running, message)
    // Before: a value that is no JSON can still be mended.
    if (outcome !== 'progress') takeBack(ticket)
    if (!inTime) throw new EngineError('NOT_FOUND', this.host.text('failure.late', { id: ticket.id }))
    reply.send(message)
    reply.done()
  }

  private report(running: Running, { payload, error }: Message): Promise<boolean> {
    const { outcome, delay } = this.host.config
    const failed = outcome === 'failure' || (outcome === 'auto' && error !== undefined)
    if (failed) return running.fail(error ?? payload)
    if (outcome === 'progress') return running.progress(payload)
    if (outcome !== 'retry') return running.done(payload)
    return running.retry({ ...(delay !== null && { delayMs: delay * 1000 }), error: error ?? payload })
  }
}
