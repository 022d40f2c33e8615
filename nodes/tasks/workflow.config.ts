import { choice, defineConfig, list, number, Problem, text, type Values } from '../shared/config'
import { broker, plain } from './fields'

/** How often a step's task is sent: once, or for each item of its value, list of arguments, or so many items. */
export const spreads = ['once', 'map', 'starmap', 'chunks'] as const
export const argsTypes = ['none', 'msg', 'json', 'str', 'num', 'flow', 'global', 'jsonata', 'env'] as const

export interface Step {
  task: string
  /** Blank: by the routes, else `default`. */
  queue: string
  args: string
  argsType: string
  spread: (typeof spreads)[number]
  /** Items a chunk. */
  size: number
  /** Whether the result before it is left out. */
  immutable: boolean
  options: Record<string, unknown>
}

const spread = choice('once', spreads)
const argsType = choice('none', argsTypes)
const size = number(10, { min: 1, max: 1_000_000, whole: true })

/** Options as JSON; blank: none. */
export function optionsOf(typed: unknown): Record<string, unknown> {
  if (typed === undefined || typed === '') return {}
  const options = parse(String(typed))
  if (options === null || typeof options !== 'object' || Array.isArray(options)) throw new Problem('config.options')
  return options as Record<string, unknown>
}

function parse(typed: string): unknown {
  try {
    return JSON.parse(typed)
  } catch {
    throw new Problem('config.options')
  }
}

export function stepOf(saved: unknown): Step {
  const row = (saved ?? {}) as Record<string, unknown>
  const task = String(row.task ?? '').trim()
  if (task === '') throw new Problem('config.task')
  return {
    task,
    queue: String(row.queue ?? '').trim(),
    args: String(row.args ?? ''),
    argsType: argsType.read(row.argsType),
    spread: spread.read(row.spread),
    size: size.read(row.size),
    immutable: row.immutable === true,
    options: optionsOf(row.options),
  }
}

export const workflowConfig = defineConfig({
  type: 'millrace-tasks-workflow',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    broker,
    /** `message`: it comes as `msg.workflow`. */
    shape: choice('chain', ['chain', 'group', 'chord', 'message']),
    steps: list(stepOf),
    /** What gets the results of a chord. */
    callback: plain,
    callbackQueue: plain,
    onError: choice('stop', ['stop', 'continue']),
    /** Runs with the error when it fails; blank: none. */
    errorTask: plain,
    output: choice('id', ['id', 'result']),
  },
})

export type WorkflowConfig = Values<(typeof workflowConfig)['fields']>
