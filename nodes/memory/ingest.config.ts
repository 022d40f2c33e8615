import { choice, defineConfig, number, text, type Values, verbatim } from '../shared/config'
import { documentFields, embedder, nameKinds, store, valueKinds } from './fields'

export const ingestConfig = defineConfig({
  type: 'millrace-memory-ingest',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    operation: choice('ingest', ['ingest', 'remove', 'sources']),
    ...documentFields,
    embedder,
    /** What the document is called. */
    source: text('topic'),
    sourceType: choice('msg', nameKinds),
    text: verbatim('payload'),
    textType: choice('msg', valueKinds),
    format: choice('auto', ['auto', 'text', 'markdown', 'html', 'pdf']),
    /** Tokens a chunk has, and shares with the one before. */
    size: number(512, { min: 16, max: 8192, whole: true }),
    overlap: number(128, { min: 0, max: 4096, whole: true }),
  },
})

export type IngestConfig = Values<(typeof ingestConfig)['fields']>
