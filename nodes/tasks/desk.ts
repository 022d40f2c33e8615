/**
 * The tasks that are out in flows. Messages carry their ids alone, so that a `millrace-tasks-done` node anywhere
 * finds them again.
 */
import { EngineError } from '../shared/errors'
import type { Running } from './lib'

/** What a message carries of its task. */
export interface Ticket {
  id: string
  /** Names this attempt: what an earlier one still says comes too late. */
  delivery: string
}

const out = new Map<string, { running: Running; delivery: string }>()
let deliveries = 0

/** Notes that a task is out; it is off the list when it ends in another way, too. */
export function handOut(running: Running): Ticket {
  deliveries += 1
  const ticket = { id: running.id, delivery: String(deliveries) }
  out.set(running.id, { running, delivery: ticket.delivery })
  return ticket
}

/** The task is not out any more. */
export function takeBack({ id, delivery }: Ticket): void {
  if (out.get(id)?.delivery === delivery) out.delete(id)
}

/** The task of a message, if it is still out. */
export function find({ id, delivery }: Partial<Ticket>): { running: Running; ticket: Ticket } {
  const found = out.get(String(id))
  if (!found || (delivery !== undefined && delivery !== found.delivery)) {
    const text = `task ${id} is not out in a flow any more; it has ended, or its time was over and it went out again`
    throw new EngineError('NOT_FOUND', text)
  }
  return { running: found.running, ticket: { id: found.running.id, delivery: found.delivery } }
}
