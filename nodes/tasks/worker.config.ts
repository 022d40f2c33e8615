import { defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { broker, names } from './fields'

export const workerConfig = defineConfig({
  type: 'millrace-tasks-worker',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    /** Names or patterns; blank: all. */
    tasks: names,
    queues: names,
    concurrency: number(10, { min: 1, max: 100_000, whole: true }),
    /** So many are taken at once: those beyond `concurrency` wait here. Blank: as `concurrency`. */
    prefetch: optionalNumber('', { min: 1, max: 100_000, whole: true }),
    /** So long the flow may say nothing of a task, in seconds. */
    lease: number(60, { min: 0.01, max: 3_155_760_000 }),
    /** So many begin in a second; blank: any number. */
    rate: optionalNumber('', { min: 0.001, max: 1_000_000 }),
  },
})

export type WorkerConfig = Values<(typeof workerConfig)['fields']>
