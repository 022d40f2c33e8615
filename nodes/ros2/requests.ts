/** Requests that came to a service, and goals that came to an action, and wait for their answer; messages carry their ids alone. */
import { randomUUID } from 'node:crypto'

export interface Open {
  /** Sends the response. Throws for one that does not fit; then the request is still open. `isAborted` is for goals. */
  answer(payload: unknown, isAborted: boolean): void
  /** Tells a client how far its goal is; services have no such thing. */
  tell?(feedback: unknown): void
}

const open = new Map<string, Open>()

export function openRequest(request: Open): string {
  const id = randomUUID()
  open.set(id, request)
  return id
}

/** Undefined for one that never was, is answered, or whose time is over. */
export function findRequest(id: unknown): Open | undefined {
  return typeof id === 'string' ? open.get(id) : undefined
}

export function closeRequest(id: string): void {
  open.delete(id)
}
