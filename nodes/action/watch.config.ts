import { choice, defineConfig, flag, list, number, text, type Values } from '../shared/config'
import { distinctRules, readRule } from './lib/rules'

export const watchConfig = defineConfig({
  type: 'millrace-action-watch',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    value: text('payload'),
    valueType: choice('msg', ['msg', 'jsonata']),
    /** Where the name of the source is; a payload with a `sourceNodeId` says so itself. */
    source: text('topic'),
    rules: list(readRule, distinctRules),
    updateMs: number(1000, { min: 0, max: 86_400_000 }),
    maxSources: number(10_000, { min: 1, max: 1_000_000, whole: true }),
    history: number(100, { min: 0, max: 100_000, whole: true }),
    persist: flag(false),
  },
})

export type WatchConfig = Values<(typeof watchConfig)['fields']>
