/** The arrow nodes in a running flow, with everything that they say written down. */
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import batchNode from '../../nodes/arrow/batch'
import fileNode from '../../nodes/arrow/file'
import rowsNode from '../../nodes/arrow/rows'

export type Json = Record<string, unknown>
export type Event = 'out' | 'reject' | 'caught' | 'completed' | 'status' | 'warn' | 'error'
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any

const EVENTS = ['out', 'reject', 'caught', 'completed', 'status', 'warn', 'error'] as const

export function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-arrow-'))
}

function flowOf(config: Json, rejects: boolean): Json[] {
  const nodes = [
    { id: 'node', wires: [['out'], rejects ? ['reject'] : []], ...config },
    { id: 'catch', type: 'catch', scope: ['node'], wires: [['caught']] },
    { id: 'complete', type: 'complete', scope: ['node'], wires: [['completed']] },
    ...['out', 'reject', 'caught', 'completed'].map((id) => ({ id, type: 'helper', wires: [] })),
  ]
  return [{ id: 'tab', type: 'tab' }, ...nodes.map((node) => ({ z: 'tab', x: 0, y: 0, ...node }))]
}

export class Rig {
  readonly seen = Object.fromEntries(EVENTS.map((event) => [event, []])) as unknown as Record<Event, Seen[]>
  private readonly events = new EventEmitter()

  private constructor(readonly userDir: string) {}

  static async start(config: Json, { rejects = true, userDir = temporary() } = {}): Promise<Rig> {
    const rig = new Rig(userDir)
    helper.settings({ userDir })
    const types = [batchNode, rowsNode, fileNode].map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
    await helper.load(types as never, flowOf(config, rejects) as never)
    for (const event of ['out', 'reject', 'caught', 'completed'] as const) {
      helper.getNode(event).on('input', (message: Seen) => rig.note(event, message))
    }
    return rig
  }

  /** Ends the flow; its files stay. */
  async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.userDir, { recursive: true, force: true })
  }

  /** The node goes, for good. */
  async removeNode(): Promise<void> {
    const flow = flowOf({ type: 'helper' }, true).filter(({ id }) => id !== 'node')
    await helper.setFlows(flow as never, 'nodes')
  }

  send(...messages: Json[]): void {
    for (const message of messages) helper.getNode('node').receive(message as never)
  }

  async until(event: Event, count = 1): Promise<Seen[]> {
    const giveUp = AbortSignal.timeout(8000)
    while (this.seen[event].length < count) {
      await once(this.events, `seen ${event}`, { signal: giveUp }).catch(() => {
        throw new Error(`waited for ${count} × ${event}, but saw ${inspect(this.seen, { depth: 4 })}`)
      })
    }
    return this.seen[event]
  }

  private note(event: Event, value: Seen): void {
    this.seen[event].push(value)
    this.events.emit(`seen ${event}`)
  }

  /** The node speaks while it is being made, so its log is heard from the start. */
  private listenTo(RED: NodeAPI): NodeAPI {
    const nodes = Object.create(RED.nodes)
    nodes.createNode = (node: Seen, config: Json) => {
      RED.nodes.createNode(node, config as never)
      for (const event of ['status', 'warn', 'error'] as const) {
        const original = node[event].bind(node)
        node[event] = (...args: unknown[]) => {
          // An error with a message goes to Catch nodes and is heard there.
          if (event !== 'error' || args.length === 1) this.note(event, args[0])
          return original(...args)
        }
      }
    }
    return Object.assign(Object.create(RED), {
      nodes,
      settings: Object.assign(Object.create(RED.settings), { userDir: this.userDir }),
    })
  }
}
