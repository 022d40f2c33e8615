import { choice, defineConfig, flag, number, optionalNumber, text, type Values } from '../shared/config'
import { commandNames, states } from './commands'
import { broker, plain } from './fields'

export const controlConfig = defineConfig({
  type: 'millrace-tasks-control',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    /** `message`: it comes as `msg.topic`. */
    command: choice('message', ['message', ...commandNames]),
    queue: plain,
    /** The name of tasks. */
    task: plain,
    /** Blank: all that are not finished. */
    state: choice('', ['', ...states]),
    scope: choice('queue', ['task', 'queue', 'key']),
    /** The task, queue or key of a rate. */
    target: plain,
    /** Blank: no limit. */
    perSecond: optionalNumber('', { min: 0.001, max: 1_000_000 }),
    max: optionalNumber('', { min: 1, max: 1_000_000, whole: true }),
    refuseLate: flag(false),
  },
})

export type ControlConfig = Values<(typeof controlConfig)['fields']>
