/** The ros2 nodes in a running flow, with everything that they say written down. Loopback only. */
import { EventEmitter } from 'node:events'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import { ros2 } from '../../nodes'
import contextNode from '../../nodes/ros2/context'
import inNode from '../../nodes/ros2/in'
import outNode from '../../nodes/ros2/out'
import { native } from '../../nodes/shared/native'

export type Json = Record<string, unknown>
export type Event = 'heard' | 'caught' | 'completed' | 'status' | 'warn' | 'error'
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any

const EVENTS = ['heard', 'caught', 'completed', 'status', 'warn', 'error'] as const

/** A suite that needs the DDS; a build without it says so by name. */
export function ros2Suite(title: string, body: (this: Mocha.Suite) => void): void {
  const name = `ros2 ${title}`
  if ('Ros2Context' in native()) {
    describe(name, body)
    return
  }
  console.log(`\nSKIPPED ${name}: this build has no ROS 2 in it\n`)
  describe.skip(name, body)
}

export interface Opened {
  context: ros2.Context
  /** Looks now and at every change of the graph, until it fits. */
  until(fits: () => boolean): Promise<void>
}

export async function openContext(domain: number, name: string, more: ros2.ContextOptions = {}): Promise<Opened> {
  const changes = new EventEmitter()
  const options = { domain, name, discovery: 'localhost', ...more } as const
  const context = await ros2.Context.open(options, () => changes.emit('change'))
  return {
    context,
    async until(fits) {
      for (;;) {
        // Listening begins before the look, so that no change falls between.
        const change = new Promise((resolve) => changes.once('change', resolve))
        if (fits()) return
        await change
      }
    },
  }
}

/** Values that arrive one by one. */
export class Inbox<T> {
  readonly all: T[] = []
  private readonly events = new EventEmitter()

  readonly put = (value: T): void => {
    this.all.push(value)
    this.events.emit('put')
  }

  async until(count: number): Promise<T[]> {
    while (this.all.length < count) await new Promise((resolve) => this.events.once('put', resolve))
    return this.all
  }
}

export const contextOf = (domain: number, more: Json = {}): Json => ({
  id: 'ctx',
  type: 'millrace-ros2-context',
  domain: String(domain),
  discovery: 'localhost',
  ...more,
})

/** What is said when it is said late is still heard: nothing is lost between the two ends. */
const latched = { qos: 'latched' }
const place = { z: 'tab', x: 0, y: 0 }

export const inOf = (more: Json = {}): Json => ({
  ...{ id: 'in', type: 'millrace-ros2-in', context: 'ctx', topic: '/t', messageType: 'std_msgs/msg/String' },
  ...{ ...place, ...latched, wires: [['sink']] },
  ...more,
})

export const outOf = (more: Json = {}): Json => ({
  ...{ id: 'out', type: 'millrace-ros2-out', context: 'ctx', topic: '/t', messageType: 'std_msgs/msg/String' },
  ...{ ...place, ...latched, wires: [] },
  ...more,
})

const watchers: Json[] = [
  { id: 'tab', type: 'tab' },
  { id: 'sink', type: 'helper', ...place, wires: [] },
  { id: 'catch', type: 'catch', ...place, scope: null, wires: [['caught']] },
  { id: 'caught', type: 'helper', ...place, wires: [] },
  { id: 'complete', type: 'complete', ...place, scope: ['out'], wires: [['completed']] },
  { id: 'completed', type: 'helper', ...place, wires: [] },
]

export class Rig {
  readonly seen = Object.fromEntries(EVENTS.map((event) => [event, []])) as unknown as Record<Event, Seen[]>
  private readonly events = new EventEmitter()

  static async start(...nodes: Json[]): Promise<Rig> {
    const rig = new Rig()
    const types = [contextNode, inNode, outNode].map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
    await helper.load(types as never, [...watchers, ...nodes] as never)
    rig.attach()
    return rig
  }

  static async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
  }

  async redeploy(...nodes: Json[]): Promise<void> {
    await helper.setFlows([...watchers, ...nodes] as never, 'nodes')
    this.attach()
  }

  send(...messages: Json[]): void {
    for (const message of messages) helper.getNode('out').receive(message as never)
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
    for (const [id, event] of [
      ['sink', 'heard'],
      ['caught', 'caught'],
      ['completed', 'completed'],
    ] as const) {
      const node = helper.getNode(id) as Seen
      if (node.noted) continue
      node.noted = true
      node.on('input', (message: Seen) => this.note(event, message))
    }
  }
}
