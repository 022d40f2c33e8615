import { choice, defineConfig, number, text, type Values, verbatim } from '../shared/config'
import { documentFields, embedder, filter, store, valueKinds } from './fields'

export const retrieveConfig = defineConfig({
  type: 'millrace-memory-retrieve',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    ...documentFields,
    embedder,
    query: verbatim('payload'),
    queryType: choice('msg', valueKinds),
    mode: choice('hybrid', ['hybrid', 'vector', 'words']),
    output: choice('passages', ['passages', 'prompt']),
    topK: number(5, { min: 1, max: 1000, whole: true }),
    /** Of a prompt, in tokens. */
    budget: number(2000, { min: 1, max: 1_000_000, whole: true }),
    /** What the model is told first; blank: the usual. */
    instructions: verbatim(''),
    /** How much passages must differ. */
    diversity: number(0, { min: 0, max: 1 }),
    /** What must hold for the metadata. */
    filter,
  },
})

export type RetrieveConfig = Values<(typeof retrieveConfig)['fields']>
