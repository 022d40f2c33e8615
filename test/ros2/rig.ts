/** The ros2 nodes in a running flow. Loopback only. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import { ros2 } from '../../nodes'
import actionNode from '../../nodes/ros2/action'
import bagNode from '../../nodes/ros2/bag'
import callNode from '../../nodes/ros2/call'
import contextNode from '../../nodes/ros2/context'
import domainSection from '../../nodes/ros2/domain'
import goalsNode from '../../nodes/ros2/goals'
import graphNode from '../../nodes/ros2/graph'
import inNode from '../../nodes/ros2/in'
import outNode from '../../nodes/ros2/out'
import parametersNode from '../../nodes/ros2/parameters'
import replyNode from '../../nodes/ros2/reply'
import serveNode from '../../nodes/ros2/serve'
import syncNode from '../../nodes/ros2/sync'
import { native } from '../../nodes/shared/native'
import matchNode from '../../nodes/sync/sync'
import { type Json, Log, type Seen } from '../shared/rig'
import { FIBONACCI } from './fibonacci'

export type { Json, Seen }

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

/** The transport that this run is about, where it is about one. */
const transport = process.env.MILLRACE_ROS2_TRANSPORT as ros2.TransportChoice | undefined
// Else it is about our own, whatever ROS 2 this machine has.
if (!transport) delete process.env.ROS_DISTRO

/** A test of what no other transport than our own can do. */
export const nativeIt: Mocha.TestFunction | Mocha.PendingTestFunction = transport === 'rclnodejs' ? it.skip : it

export interface Opened {
  context: ros2.Context
  /** Looks now and at every change of the graph, until it fits. */
  until(fits: () => boolean): Promise<void>
}

export async function openContext(domain: number, name: string, more: ros2.ContextOptions = {}): Promise<Opened> {
  const changes = new EventEmitter()
  const options = { domain, name, discovery: 'localhost', ...(transport && { transport }), ...more } as const
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

/** Tells of what happens by its second output. */
export const bagOf = (path: string, more: Json = {}): Json => ({
  ...{ id: 'bag', type: 'millrace-ros2-bag', path, speed: 0, start: 'message', ...place, wires: [['sink'], ['told']] },
  ...more,
})

export const syncOf = (more: Json = {}): Json => ({
  ...{ id: 'sync', type: 'millrace-ros2-sync', context: 'ctx', ...place, wires: [['sink'], ['rest']] },
  ...more,
})

export const graphOf = (more: Json = {}): Json => ({
  ...{ id: 'graph', type: 'millrace-ros2-graph', context: 'ctx', ...place, wires: [['sink'], ['rest']] },
  ...more,
})

const ADD = { service: '/add', serviceType: 'example_interfaces/srv/AddTwoInts', int64: 'string' }

/** Calls; what it is answered goes to the sink. */
export const callOf = (more: Json = {}): Json => ({
  ...{ id: 'call', type: 'millrace-ros2-call', context: 'ctx', timeoutMs: 15_000, ...ADD },
  ...{ ...place, wires: [['sink']] },
  ...more,
})

/** Offers; what it is asked goes to the sink. */
export const serveOf = (more: Json = {}): Json => ({
  ...{ id: 'serve', type: 'millrace-ros2-serve', context: 'ctx', ...ADD },
  ...{ ...place, wires: [['sink']] },
  ...more,
})

export const replyOf = (): Json => ({ id: 'reply', type: 'millrace-ros2-reply', ...place, wires: [] })

export const parametersOf = (more: Json = {}): Json => ({
  ...{ id: 'parameters', type: 'millrace-ros2-parameters', context: 'ctx', node: '/tuned', timeoutMs: 15_000 },
  ...{ ...place, wires: [['sink']] },
  ...more,
})

/** Sends goals; results go to the sink, feedback to the rest. */
export const actionOf = (more: Json = {}): Json => ({
  ...{ id: 'action', type: 'millrace-ros2-action', context: 'ctx', timeoutMs: 15_000 },
  ...{ action: '/count', actionType: FIBONACCI, ...place, wires: [['sink'], ['rest']] },
  ...more,
})

/** Offers an action; its goals go to the sink, what is to be cancelled to the rest. */
export const goalsOf = (more: Json = {}): Json => ({
  ...{ id: 'goals', type: 'millrace-ros2-goals', context: 'ctx', action: '/count', actionType: FIBONACCI },
  ...{ ...place, wires: [['sink'], ['rest']] },
  ...more,
})

const watchers: Json[] = [
  { id: 'tab', type: 'tab' },
  { id: 'sink', type: 'helper', ...place, wires: [] },
  { id: 'told', type: 'helper', ...place, wires: [] },
  { id: 'rest', type: 'helper', ...place, wires: [] },
  { id: 'catch', type: 'catch', ...place, scope: null, wires: [['caught']] },
  { id: 'caught', type: 'helper', ...place, wires: [] },
  {
    id: 'complete',
    type: 'complete',
    ...place,
    scope: ['out', 'bag', 'call', 'reply', 'parameters', 'action'],
    wires: [['completed']],
  },
  { id: 'completed', type: 'helper', ...place, wires: [] },
]

const nodeTypes = [
  ...[contextNode, inNode, outNode, bagNode, syncNode, graphNode, matchNode],
  ...[callNode, serveNode, replyNode, parametersNode, actionNode, goalsNode],
  domainSection,
]

export class Rig extends Log<'heard' | 'rest' | 'told' | 'caught' | 'completed'> {
  static async start(...nodes: Json[]): Promise<Rig> {
    const heard = { sink: 'heard', rest: 'rest', told: 'told', caught: 'caught', completed: 'completed' } as const
    const rig = new Rig(heard)
    const types = nodeTypes.map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
    await helper.load(types as never, [...watchers, ...nodes] as never)
    rig.attach()
    return rig
  }

  async redeploy(...nodes: Json[]): Promise<void> {
    await helper.setFlows([...watchers, ...nodes] as never, 'nodes')
    this.attach()
  }

  send(...messages: Json[]): void {
    this.sendTo('out', ...messages)
  }

  sendTo(id: string, ...messages: Json[]): void {
    for (const message of messages) helper.getNode(id).receive(message as never)
  }
}

/** Settings with which a node cannot work: what its status says of each. */
export function badSettings(table: [title: string, nodes: Json[], text: string][]): void {
  for (const [title, nodes, text] of table) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(...nodes)
      const status = await rig.find('status', (one) => one.text === text)
      assert.equal(status.fill, text === 'error.TRANSPORT' ? 'yellow' : 'red')
      await rig.until('error')
    })
  }
}
