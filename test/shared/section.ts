/** Nodes that say what a test has them say, and the routes of the sidebar's sections. */
import { EventEmitter, once } from 'node:events'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import backlog from '../../nodes/shared/backlog'
import { defineConfig, text } from '../../nodes/shared/config'
import connections from '../../nodes/shared/connections'
import engine from '../../nodes/shared/engine'
import failures from '../../nodes/shared/failures'
import { defineNode, type Message, type NodeSpec } from '../../nodes/shared/node'
import type { Json, Seen } from './rig'

const config = defineConfig({ type: 'sample', version: 1, fields: { name: text() } })
type Spec = NodeSpec<(typeof config)['fields'], string>

/** Runs nodes with these ids; what they do is told by the spec. */
export async function run(ids: readonly string[], spec: Partial<Spec>): Promise<void> {
  const define = (RED: NodeAPI) => defineNode(RED, { config, open: ({ node }) => node.id, ...spec })
  const routes = [connections, failures, backlog, engine]
  const nodes = ids.map((id) => ({ id, type: 'sample', name: id.toUpperCase(), z: 'tab', x: 0, y: 0, wires: [] }))
  await helper.load([define, ...routes] as never, [{ id: 'tab', type: 'tab' }, ...nodes] as never)
}

export const stop = () => helper.unload()
export const nodeOf = (id: string): Seen => helper.getNode(id)

/** Sends a message, and waits until the node has said that it failed. */
export async function fail(id: string, message: Json = {}): Promise<void> {
  const node = nodeOf(id)
  const heard = new EventEmitter()
  const { error } = node
  node.error = (...given: unknown[]) => {
    error.apply(node, given)
    heard.emit('failed')
  }
  const failed = once(heard, 'failed')
  node.receive(message as Message)
  await failed
  node.error = error
}

export function ask(section: string): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const request: Seen = helper.request().get(`/millrace-shared-${section}/all/list`)
    request.end((error: Error | null, answer: Seen) => (error ? reject(error) : resolve(answer.body)))
  })
}
