/** The tasks nodes in a running flow, with everything that they say written down. */
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import brokerNode from '../../nodes/tasks/broker'
import doneNode from '../../nodes/tasks/done'
import sendNode from '../../nodes/tasks/send'
import workerNode from '../../nodes/tasks/worker'

export type Json = Record<string, unknown>
/** What is heard of: by the ids of helper nodes, and what nodes say. */
export type Event = 'sent' | 'task' | 'stopped' | 'recorded' | 'caught' | 'status' | 'warn' | 'error'
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any

const HEARD = ['sent', 'task', 'stopped', 'recorded', 'caught'] as const
const place = { z: 'tab', x: 0, y: 0 }

export const brokerOf = (more: Json = {}): Json => ({ id: 'broker', type: 'millrace-tasks-broker', ...more })

export const sendOf = (more: Json = {}): Json => ({
  ...{ id: 'send', type: 'millrace-tasks-send', broker: 'broker', task: 'add', retryDelay: 0, ...place },
  ...{ wires: [['sent']] },
  ...more,
})

export const workerOf = (more: Json = {}): Json => ({
  ...{ id: 'worker', type: 'millrace-tasks-worker', broker: 'broker', ...place, wires: [['task'], ['stopped']] },
  ...more,
})

export const doneOf = (more: Json = {}): Json => ({
  ...{ id: 'done', type: 'millrace-tasks-done', ...place, wires: [['recorded']] },
  ...more,
})

const watchers: Json[] = [
  { id: 'tab', type: 'tab' },
  { id: 'catch', type: 'catch', ...place, scope: null, wires: [['caught']] },
  ...HEARD.map((id) => ({ id, type: 'helper', ...place, wires: [] })),
]

/** The flow: a node of the id of a watcher takes its place. */
const flowOf = (nodes: Json[]): Json[] => [
  ...watchers.filter(({ id }) => !nodes.some((node) => node.id === id)),
  ...nodes,
]

let userDir = ''

export class Rig {
  readonly seen: Record<Event, Seen[]> = {
    ...{ sent: [], task: [], stopped: [], recorded: [], caught: [] },
    ...{ status: [], warn: [], error: [] },
  }
  private readonly events = new EventEmitter()

  static async start(...nodes: Json[]): Promise<Rig> {
    userDir ||= mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
    helper.settings({ userDir } as never)
    const rig = new Rig()
    const types = [brokerNode, sendNode, workerNode, doneNode].map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
    await helper.load(types as never, flowOf(nodes) as never)
    rig.attach()
    return rig
  }

  /** Ends Node-RED's flows; its user directory stays. */
  static async halt(): Promise<void> {
    await helper.unload()
  }

  static async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
    rmSync(userDir, { recursive: true, force: true })
    userDir = ''
  }

  async redeploy(kind: 'full' | 'flows' | 'nodes', ...nodes: Json[]): Promise<void> {
    await helper.setFlows(flowOf(nodes) as never, kind)
    this.attach()
  }

  send(to: string, message: Json): void {
    helper.getNode(to).receive(message as never)
  }

  async until(event: Event, count = 1): Promise<Seen[]> {
    while (this.seen[event].length < count) await new Promise((resolve) => this.events.once(`said ${event}`, resolve))
    return this.seen[event]
  }

  /** Waits for something that `fits`. */
  async find(event: Event, fits: (seen: Seen) => boolean): Promise<Seen> {
    for (let next = 0; ; next += 1) {
      const one = (await this.until(event, next + 1))[next]
      if (fits(one)) return one
    }
  }

  /** What the admin API answers. */
  async get(path: string): Promise<{ status: number; body: Seen }> {
    return new Promise((resolve, reject) => {
      helper
        .request()
        .get(path)
        .end((error: Error | null, response: Seen) => (error ? reject(error) : resolve(response)))
    })
  }

  private note(event: Event, value: Seen): void {
    this.seen[event].push(value)
    // A plain `error` would be thrown where nobody listens.
    this.events.emit(`said ${event}`)
  }

  /** The nodes speak while they are being made, so their log is heard from the start. */
  private listenTo(RED: NodeAPI): NodeAPI {
    const nodes = Object.create(RED.nodes)
    nodes.createNode = (node: Seen, config: Json) => {
      RED.nodes.createNode(node, config as never)
      for (const event of ['status', 'warn', 'error'] as const) {
        const original = node[event].bind(node)
        node[event] = (...args: unknown[]) => {
          // An error with a message goes to Catch nodes and is heard there.
          const said = event === 'status' ? { ...(args[0] as Json), id: node.id } : args[0]
          if (event !== 'error' || args.length === 1) this.note(event, said)
          return original(...args)
        }
      }
    }
    return Object.assign(Object.create(RED), { nodes })
  }

  private attach(): void {
    for (const event of HEARD) {
      const node = helper.getNode(event) as Seen
      if (!node || node.noted) continue
      node.noted = true
      node.on('input', (message: Seen) => this.note(event, message))
    }
  }
}
