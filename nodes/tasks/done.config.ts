import { choice, defineConfig, number, optionalNumber, text, type Values } from '../shared/config'

export const doneConfig = defineConfig({
  type: 'millrace-tasks-done',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    outcome: choice('auto', ['auto', 'success', 'failure', 'retry', 'progress']),
    /** Before the next attempt, in seconds; blank: as the task's policy says. */
    delay: optionalNumber('', { min: 0, max: 3_155_760_000 }),
  },
})

export type DoneConfig = Values<(typeof doneConfig)['fields']>
