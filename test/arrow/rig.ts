/** The arrow nodes in a running flow, in a user directory of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import batchNode from '../../nodes/arrow/batch'
import fileNode from '../../nodes/arrow/file'
import rowsNode from '../../nodes/arrow/rows'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

const HEARD = { out: 'out', reject: 'reject', caught: 'caught', completed: 'completed' } as const
type Event = (typeof HEARD)[keyof typeof HEARD]

export function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-arrow-'))
}

function flowOf(config: Json, rejects: boolean): Json[] {
  const nodes = [
    { id: 'node', wires: [['out'], rejects ? ['reject'] : []], ...config },
    { id: 'catch', type: 'catch', scope: ['node'], wires: [['caught']] },
    { id: 'complete', type: 'complete', scope: ['node'], wires: [['completed']] },
    ...Object.keys(HEARD).map((id) => ({ id, type: 'helper', wires: [] })),
  ]
  return [{ id: 'tab', type: 'tab' }, ...nodes.map((node) => ({ z: 'tab', x: 0, y: 0, ...node }))]
}

export class Rig extends Log<Event> {
  private constructor(readonly userDir: string) {
    super(HEARD)
  }

  static async start(config: Json, { rejects = true, userDir = temporary() } = {}): Promise<Rig> {
    const rig = new Rig(userDir)
    helper.settings({ userDir })
    const types = [batchNode, rowsNode, fileNode].map((node) => (RED: NodeAPI) => node(rig.at(RED)))
    await helper.load(types as never, flowOf(config, rejects) as never)
    rig.attach()
    return rig
  }

  /** Ends the flow; its files stay. */
  async stop(): Promise<void> {
    await Log.stop()
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

  private at(RED: NodeAPI): NodeAPI {
    const settings = Object.assign(Object.create(RED.settings), { userDir: this.userDir })
    return Object.assign(this.listenTo(RED), { settings })
  }
}
