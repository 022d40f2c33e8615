/** Saved properties of every node that acts. No import of Node.js: the editor bundles this file. */
import { choice, flag, number, optionalNumber, Problem, parsed } from '../shared/config'

const DAY_MS = 86_400_000

/** Below the user directory, and not above it by a detour. */
function folder(typed: string): string {
  if (/^[\\/]|^[A-Za-z]:|(^|[\\/])\.\.([\\/]|$)/.test(typed)) throw new Problem('config.folder')
  return typed
}

export const deliveryFields = {
  /** `action`: measurements, alerts and clears; `any`: whatever comes. */
  accept: choice('action', ['action', 'any']),
  timeoutMs: number(10_000, { min: 1, max: DAY_MS }),
  retries: number(3, { min: 0, max: 1000, whole: true }),
  backoffMs: number(100, { min: 0, max: DAY_MS }),
  maxBackoffMs: number(30_000, { min: 0, max: DAY_MS }),
  concurrency: number(4, { min: 1, max: 1000, whole: true }),
  queue: number(1000, { min: 1, max: 1_000_000, whole: true }),
  whenFull: choice('refuse', ['refuse', 'drop-oldest']),
  breakAfter: optionalNumber(10, { min: 1, max: 1_000_000, whole: true }),
  breakMs: number(30_000, { min: 0, max: DAY_MS }),
  /** Deliveries go by way of the disk. */
  durable: flag(false),
  /** Blank: one by the node's id. */
  outboxFolder: parsed('', folder),
  outboxMb: number(1024, { min: 1, max: 1_000_000 }),
  outboxWhenFull: choice('refuse', ['refuse', 'drop-oldest']),
}
