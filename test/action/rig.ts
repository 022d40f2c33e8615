/** A node of the word in a running flow, with everything that it says written down. */
import { EventEmitter, once } from 'node:events'
import { inspect } from 'node:util'
import type { NodeAPI, NodeStatus } from 'node-red'
import helper from 'node-red-node-test-helper'

export type Json = Record<string, unknown>
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any
export type Event = 'first' | 'second' | 'third' | 'caught' | 'completed' | 'status' | 'warn' | 'error'

const OUTPUTS = ['first', 'second', 'third'] as const

interface Wiring {
  /** The outputs that something is wired to. Default all. */
  wired?: readonly boolean[]
  credentials?: Json
  /** More nodes, on the same tab. */
  more?: Json[]
}

const tlsNode = require('@node-red/nodes/core/network/05-tls.js') as (RED: NodeAPI) => void

function flowOf(id: string, type: string, config: Json, { wired = [true, true, true], more = [] }: Wiring): Json[] {
  const nodes = [
    { id, z: 'tab', type, wires: OUTPUTS.map((name, place) => (wired[place] ? [name] : [])), ...config },
    { id: 'catch', z: 'tab', type: 'catch', scope: [id], wires: [['caught']] },
    { id: 'complete', z: 'tab', type: 'complete', scope: [id], wires: [['completed']] },
    ...[...OUTPUTS, 'caught', 'completed'].map((id) => ({ id, z: 'tab', type: 'helper', wires: [] })),
  ]
  // What has no place is taken for a config node.
  return [{ id: 'tab', type: 'tab' }, ...nodes.map((node) => ({ x: 0, y: 0, ...node })), ...more]
}

let started = 0

export class Rig {
  readonly seen: Record<Event, Seen[]> = {
    first: [],
    second: [],
    third: [],
    caught: [],
    completed: [],
    status: [],
    warn: [],
    error: [],
  }
  private readonly events = new EventEmitter()

  private constructor(
    /** A new one for each, as what is kept of a node is kept by it. */
    readonly id: string,
    private readonly type: string,
  ) {}

  static async start(make: (RED: NodeAPI) => void, type: string, config: Json = {}, wiring: Wiring = {}): Promise<Rig> {
    started += 1
    const rig = new Rig(String(config.id ?? `node${started}`), type)
    const node = (RED: NodeAPI) => make(rig.listenTo(RED))
    await helper.load([tlsNode, node] as never, flowOf(rig.id, type, config, wiring) as never, {
      [rig.id]: wiring.credentials ?? {},
    })
    rig.attach()
    return rig
  }

  static async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
  }

  async redeploy(config: Json, wiring: Wiring = {}, kind: 'full' | 'nodes' = 'nodes'): Promise<void> {
    await helper.setFlows(flowOf(this.id, this.type, config, wiring) as never, kind)
    this.attach()
  }

  send(...messages: Json[]): void {
    for (const message of messages) this.node.receive(message as never)
  }

  get node(): Seen {
    return helper.getNode(this.id)
  }

  /** Waits until there are so many of them; returns all. Tells what came instead when they do not come. */
  async until(event: Event, count = 1): Promise<Seen[]> {
    const giveUp = AbortSignal.timeout(8000)
    while (this.seen[event].length < count) {
      await once(this.events, `seen ${event}`, { signal: giveUp }).catch(() => {
        throw new Error(`waited for ${count} × ${event}, but saw ${inspect(this.seen, { depth: 4 })}`)
      })
    }
    return this.seen[event]
  }

  /** Waits for a status that `fits`. */
  async status(fits: (status: NodeStatus & { text: string }) => boolean): Promise<NodeStatus> {
    for (let next = 0; ; next += 1) {
      const status = (await this.until('status', next + 1))[next]
      if (fits(status)) return status
    }
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
    return Object.assign(Object.create(RED), { nodes })
  }

  private attach(): void {
    for (const event of [...OUTPUTS, 'caught', 'completed'] as const) {
      const node = helper.getNode(event) as Seen
      if (!node || node.noted) continue
      node.noted = true
      node.on('input', (message: Seen) => this.note(event, message))
    }
  }
}

/** Messages travel by `setImmediate`, a few turns a wire: after these, all that was sent has arrived. */
export async function quiet(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

export const alert = (alertId: string, more: Json = {}): Json => ({
  alertType: 'Concentration',
  severity: 'critical',
  message: 'too much gas',
  data: { value: 1200, limit: 1000, rule: 'gas', duration: 0 },
  sourceNodeId: 'sensor',
  timestamp: 1_700_000_000_123,
  alertId,
  ...more,
})

export const measurement = (value: number, more: Json = {}): Json => ({
  sourceNodeId: 'sensor',
  timestamp: 1_700_000_000_123,
  value,
  ...more,
})
