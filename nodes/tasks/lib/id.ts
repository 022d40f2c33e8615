import { randomUUID } from 'node:crypto'

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
