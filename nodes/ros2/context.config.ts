import { choice, defineConfig, number, optionalNumber, Problem, parsed, text, type Values } from '../shared/config'
import { actionType, messageType, namespace, nodeName, serviceType } from './fields'

/** The kinds of types, by the folder in their names; without one it is a message. */
const KINDS = { msg: messageType, srv: serviceType, action: actionType }
const FOLDER = /^\w+\/(msg|srv|action)\//
const SEPARATOR = /^===\s*(\S.*)$/

/** Several `.msg`, `.srv` and `.action` definitions, each behind a line `=== my_msgs/msg/Speed`, by their names. */
function definitions(typed: string): Record<string, string> {
  const found: Record<string, string> = {}
  let name: string | undefined
  for (const line of typed.split(/\r?\n/)) {
    const [, begun] = SEPARATOR.exec(line) ?? []
    if (begun !== undefined) {
      const [, kind = 'msg'] = FOLDER.exec(begun) ?? []
      name = KINDS[kind as keyof typeof KINDS].read(begun.trim())
      if (Object.hasOwn(found, name)) throw new Problem('config.typeTwice', { type: name })
      found[name] = ''
    } else if (name !== undefined) {
      found[name] += `${line}\n`
    } else if (line.trim() !== '') {
      throw new Problem('config.separator')
    }
  }
  return found
}

function lines(typed: string, separator: RegExp): string[] {
  return typed
    .split(separator)
    .map((line) => line.trim())
    .filter(Boolean)
}

export const contextConfig = defineConfig({
  type: 'millrace-ros2-context',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Blank: `ROS_DOMAIN_ID`. */
    domain: optionalNumber('', { min: 0, max: 232, whole: true }),
    transport: choice('automatic', ['automatic', 'native', 'rclnodejs']),
    nodeName,
    namespace,
    /** Blank: `ROS_AUTOMATIC_DISCOVERY_RANGE`. */
    discovery: choice('', ['', 'subnet', 'localhost', 'off', 'system-default']),
    /** Blank: `ROS_STATIC_PEERS`. */
    peers: parsed('', (typed) => lines(typed, /[;\n]/)),
    /** Blank: the DDS chooses. */
    interface: parsed('', (typed) => typed),
    /** Cyclone DDS's own configuration. Blank: `CYCLONEDDS_URI`. */
    cycloneddsUri: parsed('', (typed) => typed),
    distribution: choice('jazzy', ['jazzy', 'humble']),
    messages: parsed('', definitions),
    folders: parsed('', (typed) => lines(typed, /\n/)),
  },
})

export type ContextConfig = Values<(typeof contextConfig)['fields']>
