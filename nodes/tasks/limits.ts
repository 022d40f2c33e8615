import type { NodeAPI } from 'node-red'

const WAITING_MAX = 10_000

/** So many messages of a node wait for the broker, or for a result. */
export function mostWaiting(RED: NodeAPI): number {
  const limit = RED.settings.nodeMessageBufferMaxLength
  return typeof limit === 'number' && limit > 0 ? Math.min(limit, WAITING_MAX) : WAITING_MAX
}
