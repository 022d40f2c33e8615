/** Saved properties that several nodes of the word have. No import of Node.js: the editor bundles this file. */
import { type Field, Problem, parsed, reference } from '../shared/config'

const TOKEN = '[A-Za-z_][A-Za-z0-9_]*'
const NODE = new RegExp(`^${TOKEN}$`)
const NAMESPACE = new RegExp(`^/(${TOKEN}(/${TOKEN})*)?$`)
const TOPIC = new RegExp(`^/?${TOKEN}(/${TOKEN})*$`)
const SERVICE_TYPE = new RegExp(`^${TOKEN}/(srv/)?${TOKEN}$`)
const TYPE = new RegExp(`^${TOKEN}/(msg/)?${TOKEN}$`)

function form(value: string, pattern: RegExp, problem: string): Field<string> {
  return parsed(value, (typed) => {
    if (!pattern.test(typed)) throw new Problem(problem)
    return typed
  })
}

export const nodeName = form('millrace', NODE, 'config.nodeName')
export const namespace = form('/', NAMESPACE, 'config.namespace')
/** Absolute, or within the namespace. */
export const topic = form('', TOPIC, 'config.topic')
export const messageType = form('', TYPE, 'config.type')

/** Absolute, or within the namespace; so is a node's. */
export const service = form('', TOPIC, 'config.service')
export const remoteNode = form('', TOPIC, 'config.node')
export const serviceType = form('', SERVICE_TYPE, 'config.serviceType')

export const CONTEXT = 'millrace-ros2-context'

/** The id of a context node. */
export const context = reference(CONTEXT)

/** The absolute name of a topic, as seen from a namespace. */
export function absolute(name: string, within: string): string {
  return name.startsWith('/') ? name : `${within === '/' ? '' : within}/${name}`
}

/** `std_msgs/String` and `std_msgs/msg/String` are the same type; this is the long form. */
export function longType(name: string, kind: 'msg' | 'srv' = 'msg'): string {
  const parts = name.split('/')
  return parts.length === 2 ? parts.join(`/${kind}/`) : name
}
