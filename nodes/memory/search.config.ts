import { choice, defineConfig, flag, number, optionalNumber, text, type Values, verbatim } from '../shared/config'
import { embedder, filter, namespaceFields, store, timeFields, valueKinds } from './fields'

export const searchConfig = defineConfig({
  type: 'millrace-memory-search',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    ...namespaceFields,
    /** A text, or a vector. */
    query: verbatim('payload'),
    queryType: choice('msg', valueKinds),
    /** Of a text. */
    embedder,
    topK: number(10, { min: 1, max: 10_000, whole: true }),
    /** Blank: any score. */
    threshold: optionalNumber('', { min: -1, max: 1 }),
    /** The words of the text count beside its meaning. */
    words: flag(false),
    /** What must hold for the metadata, and for the document. */
    filter,
    documents: filter,
    /** As it was then; blank: as it is now. */
    ...timeFields,
  },
})

export type SearchConfig = Values<(typeof searchConfig)['fields']>
