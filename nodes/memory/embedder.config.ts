import { defineConfig, number, optionalNumber, optionalReference, text, type Values } from '../shared/config'
import { plain } from './fields'

export const embedderConfig = defineConfig({
  type: 'millrace-memory-embedder',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Of the API, up to `/v1`. */
    url: plain,
    model: plain,
    tls: optionalReference('tls-config'),
    /** Blank: as many as the model has. */
    dimensions: optionalNumber('', { min: 1, max: 65_536, whole: true }),
    /** Texts a request. */
    batch: number(64, { min: 1, max: 2048, whole: true }),
    timeoutMs: number(30_000, { min: 1, max: 3_600_000, whole: true }),
    retries: number(3, { min: 0, max: 100, whole: true }),
    /** Vectors that are remembered. */
    cache: number(1000, { min: 0, max: 1_000_000, whole: true }),
  },
  credentials: { apiKey: { type: 'password' } },
})

export type EmbedderConfig = Values<(typeof embedderConfig)['fields']>
