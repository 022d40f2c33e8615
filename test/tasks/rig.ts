/** The tasks nodes in a running flow, with everything that they say written down. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import brokerNode from '../../nodes/tasks/broker'
import doneNode from '../../nodes/tasks/done'
import sendNode from '../../nodes/tasks/send'
import workerNode from '../../nodes/tasks/worker'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

const HEARD = { sent: 'sent', task: 'task', stopped: 'stopped', recorded: 'recorded', caught: 'caught' } as const
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
  ...Object.keys(HEARD).map((id) => ({ id, type: 'helper', ...place, wires: [] })),
]

/** The flow: a node of the id of a watcher takes its place. */
const flowOf = (nodes: Json[]): Json[] => [
  ...watchers.filter(({ id }) => !nodes.some((node) => node.id === id)),
  ...nodes,
]

let userDir = ''

export class Rig extends Log<keyof typeof HEARD> {
  static async start(...nodes: Json[]): Promise<Rig> {
    userDir ||= mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
    helper.settings({ userDir } as never)
    const rig = new Rig(HEARD)
    const types = [brokerNode, sendNode, workerNode, doneNode].map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
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
  }

  async redeploy(kind: 'full' | 'flows' | 'nodes', ...nodes: Json[]): Promise<void> {
    await helper.setFlows(flowOf(nodes) as never, kind)
    this.attach()
  }

  send(to: string, message: Json): void {
    helper.getNode(to).receive(message as never)
  }
}
