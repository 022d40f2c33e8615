/** A `millrace-sync` node in a running flow, with everything that it says written down. */
import type { NodeAPI, NodeStatus } from 'node-red'
import helper from 'node-red-node-test-helper'
import syncNode from '../../nodes/sync/sync'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

type Heard = 'group' | 'reject' | 'caught' | 'completed'
export type Event = Heard | 'status' | 'warn' | 'error'

export const MS = 1_000_000n

/** Rows of the topic list. */
export const topics = (...names: string[]) => names.map((topic) => ({ topic, required: true, minPeriodMs: '' }))

/** A message of a topic at a time in ms, recognisable by its payload and id: `a10`. */
export function at(topic: string, ms: number, more: Json = {}): Json {
  const name = `${topic}${ms}`
  return { _msgid: name, topic, payload: name, timestamp: ms, ...more }
}

interface Wiring {
  /** Whether something is wired to output 2. Default true. */
  rejects?: boolean
  /** Whether there are Catch and Complete nodes. Default true. */
  watched?: boolean
  env?: { name: string; value: string; type: string }[]
  /** More nodes, on the same tab. */
  more?: Json[]
}

export function flowOf(config: Json, { rejects = true, watched = true, env = [], more = [] }: Wiring = {}): Json[] {
  const watchers = [
    { id: 'catch', z: 'tab', type: 'catch', scope: ['sync'], wires: [['caught']] },
    { id: 'complete', z: 'tab', type: 'complete', scope: ['sync'], wires: [['completed']] },
  ]
  const nodes = [
    {
      id: 'sync',
      z: 'tab',
      type: 'millrace-sync',
      topics: topics('a', 'b'),
      wires: [['group'], rejects ? ['reject'] : []],
      ...config,
    },
    ...(watched ? watchers : []),
    ...['group', 'reject', 'caught', 'completed'].map((id) => ({ id, z: 'tab', type: 'helper', wires: [] })),
    ...more,
  ]
  // What has no place is taken for a config node.
  return [{ id: 'tab', type: 'tab', env }, ...nodes.map((node) => ({ x: 0, y: 0, ...node }))]
}

export class Rig extends Log<Heard> {
  static async start(config: Json = {}, wiring: Wiring = {}): Promise<Rig> {
    const rig = new Rig({ group: 'group', reject: 'reject', caught: 'caught', completed: 'completed' })
    const node = (RED: NodeAPI) => syncNode(rig.listenTo(RED))
    await helper.load([node as never], flowOf(config, wiring) as never)
    rig.attach()
    return rig
  }

  /** Deploys anew. */
  async redeploy(config: Json, wiring: Wiring = {}, kind: 'full' | 'flows' | 'nodes' = 'nodes'): Promise<void> {
    await helper.setFlows(flowOf(config, wiring) as never, kind)
    this.attach()
  }

  send(...messages: Json[]): void {
    for (const message of messages) helper.getNode('sync').receive(message as never)
  }

  /** Waits for a status that `fits`. */
  async status(fits: (status: NodeStatus & { text: string }) => boolean): Promise<NodeStatus> {
    return this.find('status', fits)
  }

  /** What the admin route of the node would answer from. */
  get node(): Seen {
    return helper.getNode('sync')
  }

  payloads(event: Event): unknown[] {
    return this.seen[event].map((message) => message.payload)
  }

  reasons(): string[] {
    return this.seen.reject.map((message) => `${message.payload} ${message.sync.reason}`)
  }

  codes(): string[] {
    return this.seen.caught.map((message) => message.error.code)
  }

  ids(event: Event): string[] {
    return this.seen[event].map((message) => message._msgid)
  }
}

/** Messages travel by `setImmediate`, a few turns a wire: after these, all that was sent has arrived. */
export async function quiet(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Counts the timers that the nodes' own code has running. */
export function watchTimers() {
  const live = new Set<unknown>()
  const ours = () => /[\\/]nodes[\\/](sync|shared)[\\/]/.test(new Error().stack ?? '')
  const originals = { setTimeout, setInterval, clearTimeout, clearInterval }
  const watch =
    (set: (...args: Seen[]) => unknown, repeats: boolean) =>
    (call: (...args: unknown[]) => void, ...rest: unknown[]) => {
      const run = (...args: unknown[]) => {
        if (!repeats) live.delete(timer)
        call(...args)
      }
      const timer = set(run, ...rest)
      if (ours()) live.add(timer)
      return timer
    }
  const forget = (clear: (timer: Seen) => void) => (timer: unknown) => {
    live.delete(timer)
    clear(timer)
  }
  Object.assign(globalThis, {
    setTimeout: watch(setTimeout, false),
    setInterval: watch(setInterval, true),
    clearTimeout: forget(clearTimeout),
    clearInterval: forget(clearInterval),
  })
  return { live: () => live.size, stop: () => void Object.assign(globalThis, originals) }
}
