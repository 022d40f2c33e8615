import { choice, defineConfig, number, optionalNumber, text, type Values } from '../shared/config'
import { plain } from './fields'

export const storeConfig = defineConfig({
  type: 'millrace-memory-store',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Below the user directory; blank: `millrace/memory`. */
    path: plain,
    durability: choice('batch', ['batch', 'sync']),
    memoryMb: number(64, { min: 8, max: 1_000_000 }),
    /** How the indexes of vectors are kept in memory. */
    vectors: choice('f32', ['f32', 'f16', 'i8']),
    /** Blank: no limit. */
    diskMb: optionalNumber('', { min: 1, max: 1_000_000_000 }),
    /** What was replaced or deleted longer ago is given up; blank: never. */
    keepHours: optionalNumber('', { min: 0.00001, max: 1_000_000 }),
  },
})

export type StoreConfig = Values<(typeof storeConfig)['fields']>
