/** Saved properties that several nodes of the word have. No import of Node.js: the editor bundles this file. */
import { type Field, Problem, parsed, reference } from '../shared/config'
import { ACTION_TYPE, NAMESPACE, NODE_NAME, SERVICE_TYPE, TOPIC, TYPE } from './lib/names'

export { absolute, longType } from './lib/names'

function form(value: string, pattern: RegExp, problem: string): Field<string> {
  return parsed(value, (typed) => {
    if (!pattern.test(typed)) throw new Problem(problem)
    return typed
  })
}

export const nodeName = form('millrace', NODE_NAME, 'config.nodeName')
export const namespace = form('/', NAMESPACE, 'config.namespace')
/** Absolute, or within the namespace. */
export const topic = form('', TOPIC, 'config.topic')
export const messageType = form('', TYPE, 'config.type')

/** Absolute, or within the namespace; so is a node's. */
export const service = form('', TOPIC, 'config.service')
export const remoteNode = form('', TOPIC, 'config.node')
export const serviceType = form('', SERVICE_TYPE, 'config.serviceType')

/** Absolute, or within the namespace. */
export const action = form('', TOPIC, 'config.action')
export const actionType = form('', ACTION_TYPE, 'config.actionType')

export function isType(name: string): boolean {
  return TYPE.test(name)
}

export const CONTEXT = 'millrace-ros2-context'

/** The id of a context node. */
export const context = reference(CONTEXT)
