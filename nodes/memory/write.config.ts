import { choice, defineConfig, number, optionalNumber, text, type Values, verbatim } from '../shared/config'
import { embedder, keyFields, missing, namespaceFields, store, timeFields, valueKinds } from './fields'

export const writeConfig = defineConfig({
  type: 'millrace-memory-write',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    operation: choice('put', ['put', 'batch', 'delete', 'restore', 'embed', 'retain', 'index']),
    ...namespaceFields,
    ...keyFields,
    value: verbatim('payload'),
    valueType: choice('msg', valueKinds),
    /** Of a text whose vector is kept. */
    embedder,
    /** What is restored: as of a time, or a version. */
    ...timeFields,
    /** In seconds; blank: it stays. */
    ttl: optionalNumber('', { min: 0.001, max: 3_155_760_000 }),
    missing,
  },
})

export type WriteConfig = Values<(typeof writeConfig)['fields']>
