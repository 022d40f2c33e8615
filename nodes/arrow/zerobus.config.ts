import { defineConfig, number, reference, text, type Values } from '../shared/config'

export const zerobusConfig = defineConfig({
  type: 'millrace-arrow-zerobus',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    table: reference('millrace-arrow-zerobus-table'),
  },
})

export type ZerobusConfig = Values<(typeof zerobusConfig)['fields']>
