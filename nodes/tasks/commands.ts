/** What a control node can do, and what each needs. No import of Node.js: the editor bundles this file. */

/** The properties of the dialog that each command has. */
export const commands = {
  revoke: ['refuseLate'],
  inspect: [],
  list: ['state', 'queue', 'task'],
  count: ['state', 'queue', 'task'],
  queues: [],
  workers: [],
  stats: [],
  purge: ['queue'],
  pause: ['queue'],
  resume: ['queue'],
  limit: ['queue', 'max'],
  rateLimit: ['scope', 'target', 'perSecond'],
  retryDead: ['queue'],
  deleteDead: ['queue'],
  schedule: [],
  unschedule: [],
  schedules: [],
} as const satisfies Record<string, readonly string[]>

export type CommandName = keyof typeof commands

export const commandNames = Object.keys(commands) as CommandName[]

export const states = [
  ...['pending', 'scheduled', 'received', 'started', 'retry'],
  ...['success', 'failure', 'revoked', 'expired', 'dead'],
] as const
