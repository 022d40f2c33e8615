/** ROS 2's rules for names. No import of Node.js: the editor bundles this file. */

const TOKEN = '[A-Za-z_][A-Za-z0-9_]*'

export const NODE_NAME = new RegExp(`^${TOKEN}$`)
export const NAMESPACE = new RegExp(`^/(${TOKEN}(/${TOKEN})*)?$`)
/** Absolute, or within a namespace. */
export const TOPIC = new RegExp(`^/?${TOKEN}(/${TOKEN})*$`)
export const TYPE = new RegExp(`^${TOKEN}/(msg/)?${TOKEN}$`)
export const SERVICE_TYPE = new RegExp(`^${TOKEN}/(srv/)?${TOKEN}$`)
export const ACTION_TYPE = new RegExp(`^${TOKEN}/(action/)?${TOKEN}$`)

/** The absolute name of a topic, as seen from a namespace. */
export function absolute(name: string, within: string): string {
  return name.startsWith('/') ? name : `${within === '/' ? '' : within}/${name}`
}

/** `std_msgs/String` and `std_msgs/msg/String` are the same type; this is the long form. */
export function longType(name: string, kind: 'msg' | 'srv' | 'action' = 'msg'): string {
  const parts = name.split('/')
  return parts.length === 2 ? parts.join(`/${kind}/`) : name
}
