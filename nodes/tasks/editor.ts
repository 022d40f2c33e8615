/** What the panels of the word share. Runs in the browser. */
import { ask, offer } from '../shared/editor'
import { BROKER } from './fields'
import type { View } from './host'

/** One muted gold for the word. */
export const looks = { category: 'millrace tasks', color: '#d8c9a0', icon: 'tasks.svg' } as const

/** What a broker holds; null where it is not deployed. */
export function viewOf(id: string): Promise<View | null> {
  return ask<View>(BROKER, id, 'view')
}

/** Offers the queues that the broker has; any other name can be typed. */
export function offerQueues(input: JQuery): void {
  const id = String($('#node-input-broker').val() ?? '')
  const found = id && id !== '_ADD_' ? viewOf(id) : Promise.resolve(null)
  const none: string[] = []
  const queues = found.then(
    (view) => view?.queues.map(({ name }) => name) ?? none,
    () => none,
  )
  offer(input, () => queues)
}
