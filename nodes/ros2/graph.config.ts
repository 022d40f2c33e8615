import { defineConfig, flag, number, Problem, parsed, text, type Values } from '../shared/config'
import { context } from './fields'

const PREFIX = /^\/?[A-Za-z0-9_/]*$/

export const graphConfig = defineConfig({
  type: 'millrace-ros2-graph',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    /** Blank: everything. Absolute, or within the context's namespace. */
    prefix: parsed('', (typed) => {
      if (!PREFIX.test(typed)) throw new Problem('config.prefix')
      return typed
    }),
    /** What belongs to the context itself. */
    hideOwn: flag(true),
    /** Names with a part that begins with `_`. */
    hideHidden: flag(true),
    /** Whether the whole graph leaves when the context has looked around. */
    atStart: flag(false),
  },
})

export type GraphConfig = Values<(typeof graphConfig)['fields']>
