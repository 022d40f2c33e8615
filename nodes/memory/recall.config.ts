import { choice, defineConfig, number, text, type Values, verbatim } from '../shared/config'
import { agent, embedder, names, store, timeKinds, valueKinds } from './fields'

export const recallConfig = defineConfig({
  type: 'millrace-memory-recall',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    agent,
    embedder,
    query: verbatim('payload'),
    queryType: choice('msg', valueKinds),
    kind: choice('any', ['any', 'episode', 'fact', 'procedure']),
    /** All of these. */
    tags: names,
    /** Not older than this; blank: of any age. */
    since: verbatim(''),
    sinceType: choice('str', timeKinds),
    output: choice('list', ['list', 'context']),
    limit: number(10, { min: 1, max: 10_000, whole: true }),
    /** Of a context, in tokens. */
    budget: number(500, { min: 1, max: 1_000_000, whole: true }),
  },
})

export type RecallConfig = Values<(typeof recallConfig)['fields']>
