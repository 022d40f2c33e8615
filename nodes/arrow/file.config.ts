import { choice, defineConfig, number, optionalNumber, Problem, parsed, text, type Values } from '../shared/config'

export const fileConfig = defineConfig({
  type: 'millrace-arrow-file',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    action: choice('write', ['write', 'read']),
    /** Below the user directory. */
    folder: parsed('arrow', (typed) => typed),
    prefix: parsed('rows', (typed) => {
      if (!/^[A-Za-z0-9_-]+$/.test(typed)) throw new Problem('config.prefix')
      return typed
    }),
    maxMb: number(64, { min: 0.000001, max: 65_536 }),
    maxAgeS: optionalNumber(3600, { min: 0.001, max: 2_147_483 }),
    keep: optionalNumber('', { min: 1, max: 1_000_000, whole: true }),
    compression: choice('none', ['none', 'lz4', 'zstd']),
  },
})

export type FileConfig = Values<(typeof fileConfig)['fields']>
