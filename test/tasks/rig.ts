/** The tasks nodes in a running flow, with everything that they say written down. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import brokerNode from '../../nodes/tasks/broker'
import controlNode from '../../nodes/tasks/control'
import doneNode from '../../nodes/tasks/done'
import eventsNode from '../../nodes/tasks/events'
import monitor from '../../nodes/tasks/monitor'
import resultNode from '../../nodes/tasks/result'
import sendNode from '../../nodes/tasks/send'
import workerNode from '../../nodes/tasks/worker'
import workflowNode from '../../nodes/tasks/workflow'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

const functionNode = require('@node-red/nodes/core/function/10-function.js') as (RED: NodeAPI) => void
const makers = [
  brokerNode,
  sendNode,
  workerNode,
  doneNode,
  workflowNode,
  resultNode,
  controlNode,
  eventsNode,
  monitor,
  functionNode,
]
const HEARD = ['sent', 'progress', 'task', 'stopped', 'recorded', 'absent', 'answer', 'event', 'caught'] as const
/** What is heard of, by the ids of helper nodes. */
export type Event = (typeof HEARD)[number]
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

export const workflowOf = (more: Json = {}): Json => ({
  ...{ id: 'workflow', type: 'millrace-tasks-workflow', broker: 'broker', ...place, wires: [['sent'], ['progress']] },
  ...more,
})

export const resultOf = (more: Json = {}): Json => ({
  ...{ id: 'result', type: 'millrace-tasks-result', broker: 'broker', ...place, wires: [['sent'], ['absent']] },
  ...more,
})

export const controlOf = (more: Json = {}): Json => ({
  ...{ id: 'control', type: 'millrace-tasks-control', broker: 'broker', ...place, wires: [['answer']] },
  ...more,
})

export const eventsOf = (more: Json = {}): Json => ({
  ...{ id: 'events', type: 'millrace-tasks-events', broker: 'broker', ...place, wires: [['event']] },
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

export class Rig extends Log<Event> {
  /** Of Node-RED, until the stop. */
  static settings: Json = {}

  static async start(...nodes: Json[]): Promise<Rig> {
    userDir ||= mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
    helper.settings({ userDir, ...Rig.settings } as never)
    const rig = new Rig(Object.fromEntries(HEARD.map((id) => [id, id])))
    const types = makers.map((make) => (RED: NodeAPI) => make(rig.listenTo(RED)))
    await helper.load(types as never, flowOf(nodes) as never)
    rig.attach()
    return rig
  }

  /** Ends Node-RED's flows; its user directory stays. */
  static async halt(): Promise<void> {
    await helper.unload()
  }

  static override async stop(): Promise<void> {
    await Log.stop()
    rmSync(userDir, { recursive: true, force: true })
    userDir = ''
    Rig.settings = {}
  }

  async redeploy(kind: 'full' | 'flows' | 'nodes', ...nodes: Json[]): Promise<void> {
    await helper.setFlows(flowOf(nodes) as never, kind)
    this.attach()
  }

  send(to: string, message: Json): void {
    helper.getNode(to).receive(message as never)
  }
}
