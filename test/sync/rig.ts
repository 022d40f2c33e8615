/** A `millrace-sync` node in a running flow, with everything that it says written down. */
import { EventEmitter, once } from 'node:events'
import { inspect } from 'node:util'
import type { NodeAPI, NodeStatus } from 'node-red'
import helper from 'node-red-node-test-helper'
import syncNode from '../../nodes/sync/sync'

export type Json = Record<string, unknown>
export type Event = 'group' | 'reject' | 'caught' | 'completed' | 'status' | 'warn' | 'error'
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any

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

export class Rig {
  readonly seen: Record<Event, Seen[]> = {
    group: [],
    reject: [],
    caught: [],
    completed: [],
    status: [],
    warn: [],
    error: [],
  }
  private readonly events = new EventEmitter()

  static async start(config: Json = {}, wiring: Wiring = {}): Promise<Rig> {
    const rig = new Rig()
    const node = (RED: NodeAPI) => syncNode(rig.listenTo(RED))
    await helper.load([node as never], flowOf(config, wiring) as never)
    rig.attach()
    return rig
  }

  static async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
  }

  /** Deploys anew. */
  async redeploy(config: Json, wiring: Wiring = {}, kind: 'full' | 'flows' | 'nodes' = 'nodes'): Promise<void> {
    await helper.setFlows(flowOf(config, wiring) as never, kind)
    this.attach()
  }

  send(...messages: Json[]): void {
    for (const message of messages) helper.getNode('sync').receive(message as never)
  }

  /** Waits until there are so many of them; returns all. Tells what came instead when they do not come. */
  async until(event: Event, count = 1): Promise<Seen[]> {
    const giveUp = AbortSignal.timeout(5000)
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
    for (const event of ['group', 'reject', 'caught', 'completed'] as const) {
      const node = helper.getNode(event) as Seen
      if (node.noted) continue
      node.noted = true
      node.on('input', (message: Seen) => this.note(event, message))
    }
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
