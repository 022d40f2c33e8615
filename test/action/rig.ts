/** A node of the word in a running flow, with everything that it says written down. */
import type { NodeAPI, NodeStatus } from 'node-red'
import helper from 'node-red-node-test-helper'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

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

const HEARD = { first: 'first', second: 'second', third: 'third', caught: 'caught', completed: 'completed' } as const

export class Rig extends Log<keyof typeof HEARD> {
  private constructor(
    /** A new one for each, as what is kept of a node is kept by it. */
    readonly id: string,
    private readonly type: string,
  ) {
    super(HEARD)
  }

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

  /** Waits for a status that `fits`. */
  status(fits: (status: NodeStatus & { text: string }) => boolean): Promise<NodeStatus> {
    return this.find('status', fits)
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
