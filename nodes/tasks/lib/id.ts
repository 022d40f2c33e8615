import { randomUUID } from 'node:crypto'
import type { TaskInfo } from './broker'

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

let time = 0
let head = ''

/** A UUID of version 7: its time, and the random digits of one of version 4, of which Node.js has a store. */
export function newId(): string {
  const now = Date.now()
  if (now !== time) {
    time = now
    const digits = now.toString(16).padStart(12, '0')
    head = `${digits.slice(0, 8)}-${digits.slice(8)}-7`
  }
  return head + randomUUID().slice(15)
}

export function isId(text: string): boolean {
  return UUID.test(text)
}

/** What is told of an id that nobody knows. */
export function unknownTask(id: string): TaskInfo {
  const message = 'no task of this id is known; its result may be past its time'
  return { id, state: null, result: null, error: { type: 'EngineError', message, code: 'NOT_FOUND' } }
}
