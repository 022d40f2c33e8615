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

/** A flow around the node `node`. */
export abstract class ArrowRig<E extends string> extends Log<E> {
  protected constructor(
    heard: Record<string, E>,
    readonly userDir: string,
  ) {
    super(heard)
  }

  /** The nodes with those that hear them; `globals` belong to no tab. */
  protected static flowOf(heard: object, nodes: Json[], globals: Json[] = []): Json[] {
    const all = [
      ...nodes,
      { id: 'catch', type: 'catch', scope: nodes.map(({ id }) => id), wires: [['caught']] },
      { id: 'complete', type: 'complete', scope: nodes.map(({ id }) => id), wires: [['completed']] },
      ...Object.keys(heard).map((id) => ({ id, type: 'helper', wires: [] })),
    ]
    return [{ id: 'tab', type: 'tab' }, ...globals, ...all.map((node) => ({ z: 'tab', x: 0, y: 0, ...node }))]
  }

  /** Ends the flow; its files stay. */
  async stop(): Promise<void> {
    await Log.stop()
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.userDir, { recursive: true, force: true })
  }

  get node(): Seen {
    return helper.getNode('node') as Seen
  }

  send(...messages: Json[]): void {
    for (const message of messages) this.node.receive(message)
  }

  protected at(RED: NodeAPI, more: Json = {}): NodeAPI {
    const settings = Object.assign(Object.create(RED.settings), { userDir: this.userDir, ...more })
    return Object.assign(this.listenTo(RED), { settings })
  }
}

function nodeOf(config: Json, rejects = true): Json {
  return { id: 'node', wires: [['out'], rejects ? ['reject'] : []], ...config }
}

export class Rig extends ArrowRig<Event> {
  static async start(config: Json, { rejects = true, userDir = temporary() } = {}): Promise<Rig> {
    const rig = new Rig(HEARD, userDir)
    helper.settings({ userDir })
    const types = [batchNode, rowsNode, fileNode].map((node) => (RED: NodeAPI) => node(rig.at(RED)))
    await helper.load(types as never, Rig.flowOf(HEARD, [nodeOf(config, rejects)]) as never)
    rig.attach()
    return rig
  }

  /** The node goes, for good. */
  async removeNode(): Promise<void> {
    const flow = Rig.flowOf(HEARD, [nodeOf({ type: 'helper' })]).filter(({ id }) => id !== 'node')
    await helper.setFlows(flow as never, 'nodes')
  }

  /** The node, and no other, is deployed with another setting. */
  async changeNode(config: Json): Promise<void> {
    await helper.setFlows(Rig.flowOf(HEARD, [nodeOf(config)]) as never, 'nodes')
  }

  /** The whole flow goes, for good. */
  async removeFlow(): Promise<void> {
    await helper.setFlows([] as never, 'full')
  }
}
