import { choice, defineConfig, number, optionalNumber, text, type Values, verbatim } from '../shared/config'
import { agent, embedder, names, store, valueKinds } from './fields'

export const rememberConfig = defineConfig({
  type: 'millrace-memory-remember',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    agent,
    embedder,
    operation: choice('remember', ['remember', 'forget', 'consolidate', 'undo']),
    kind: choice('episode', ['episode', 'fact', 'procedure']),
    /** What is remembered; the id of what is forgotten; what a consolidation did that is undone. */
    text: verbatim('payload'),
    textType: choice('msg', valueKinds),
    /** Blank: as its kind has it. */
    importance: optionalNumber('', { min: 0, max: 1 }),
    tags: names,
    /** Of a consolidation: so near are two that say the same. */
    duplicate: number(0.95, { min: 0, max: 1 }),
    /** Older than so many days, no more important, and recalled no more often: that is archived. */
    fadeAfterDays: number(90, { min: 0, max: 36_500 }),
    fadeImportance: number(0.8, { min: 0, max: 1 }),
    fadeUses: number(5, { min: 0, max: 1_000_000, whole: true }),
  },
})

export type RememberConfig = Values<(typeof rememberConfig)['fields']>
