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

/** Notes that a task is out, until it ends in whatever way. */
export function handOut(running: Running): Ticket {
  deliveries += 1
  const { id } = running
  const delivery = String(deliveries)
  out.set(id, { running, delivery })
  running.onEnd = () => {
    if (out.get(id)?.running === running) out.delete(id)
  }
  return { id, delivery }
}

/** The task of a message, if it is still out. */
export function find({ id, delivery }: Partial<Ticket>): Running {
  const found = out.get(String(id))
  if (!found || (delivery !== undefined && delivery !== found.delivery)) {
    const text = `task ${id} is not out in a flow any more; it has ended, or its time was over and it went out again`
    throw new EngineError('NOT_FOUND', text)
  }
  return found.running
}
