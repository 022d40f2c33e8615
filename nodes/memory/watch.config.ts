import { choice, defineConfig, number, text, type Values } from '../shared/config'
import { filter, plain, store } from './fields'

export const watchConfig = defineConfig({
  type: 'millrace-memory-watch',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    /** Blank: all. */
    namespace: plain,
    prefix: plain,
    filter,
    /** What it hears first: what happens from now on, or also what happened while it was not there. */
    start: choice('now', ['now', 'resume']),
  },
})

export type WatchConfig = Values<(typeof watchConfig)['fields']>
