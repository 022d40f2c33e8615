/** Where a node's settings come from: what was saved, the environment, the credentials. */
import type { Node, NodeAPI } from 'node-red'
import { type ConfigSpec, type Fields, migrate, Problem, type Values } from './config'
import { EngineError, quote } from './errors'

/** The checked settings of a node. Fails with all properties whose values do not do, and these. */
export function readConfig<F extends Fields>(RED: NodeAPI, node: Node, spec: ConfigSpec<F>, saved: object): Values<F> {
  const current = migrate(spec, saved as Record<string, unknown>)
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [name, field] of Object.entries(spec.fields)) {
    const value = field.verbatim ? current[name] : resolve(RED, node, current[name])
    try {
      values[name] = field.read(value)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      problems.push(`${name} is ${quote(value)}: ${RED._(error.key, error.params)}`)
    }
  }
  if (problems.length > 0) throw new EngineError('INVALID_OPTION', problems.join('; '))
  return values as Values<F>
}

/** How many messages a node may hold at most, as Node-RED is set. */
export function messageLimit({ settings }: NodeAPI): number {
  const limit = settings.nodeMessageBufferMaxLength
  return typeof limit === 'number' && limit > 0 ? limit : Number.POSITIVE_INFINITY
}

const VARIABLE = /\$\{[^\s{}"']+\}/
const VARIABLES = new RegExp(VARIABLE, 'g')

/**
 * `${NAME}` anywhere in a text becomes the value that the node's flow, group or process has for it.
 * Node-RED itself does so only where it is the whole text.
 */
export function resolve(RED: NodeAPI, node: Node, value: unknown): unknown {
  if (typeof value === 'string') {
    const read = (variable: string): unknown => RED.util.evaluateNodeProperty(variable, 'env', node, {})
    // A whole one may be a number or a flag.
    return VARIABLE.exec(value)?.[0] === value
      ? read(value)
      : value.replaceAll(VARIABLES, (found) => String(read(found)))
  }
  if (Array.isArray(value)) return value.map((item) => resolve(RED, node, item))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(RED, node, item)]))
  }
  return value
}
