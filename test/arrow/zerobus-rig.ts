/** A Zerobus node and its table in a running flow, and the test server that they send to. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import zerobusNode from '../../nodes/arrow/zerobus'
import tableNode from '../../nodes/arrow/zerobus-table'
import { type Json, Log } from '../shared/rig'
import { table } from '../zerobus/rig'
import type { ZerobusServer } from '../zerobus/server'

export type { Json, Seen } from '../shared/rig'

const HEARD = { out: 'out', failed: 'failed', caught: 'caught', completed: 'completed' } as const
type Event = (typeof HEARD)[keyof typeof HEARD]

export const columns = [
  { name: 'id', type: 'int64', nullable: false },
  { name: 'value', type: 'float64', nullable: true },
]

interface Setup {
  /** Of the table node. */
  config?: Json
  credentials?: Json
  settings?: Json
  /** Whether something is wired to the second output. */
  failures?: boolean
  /** Of an earlier life. */
  userDir?: string
}

export class ZerobusRig extends Log<Event> {
  private constructor(readonly userDir: string) {
    super(HEARD)
  }

  static async start(server: ZerobusServer | undefined, setup: Setup = {}): Promise<ZerobusRig> {
    const { userDir = mkdtempSync(join(tmpdir(), 'millrace-arrow-')), settings = {}, failures = true } = setup
    const rig = new ZerobusRig(userDir)
    helper.settings({ userDir })
    const { endpoint, unityCatalogUrl, clientId, clientSecret } = server?.config(table) ?? {}
    const nodes = [
      { id: 'node', type: 'millrace-arrow-zerobus', table: 'table', wires: [['out'], failures ? ['failed'] : []] },
      { id: 'catch', type: 'catch', scope: ['node'], wires: [['caught']] },
      { id: 'complete', type: 'complete', scope: ['node'], wires: [['completed']] },
      ...Object.keys(HEARD).map((id) => ({ id, type: 'helper', wires: [] })),
    ]
    const quick = { attempts: 3, baseDelayMs: 1, maxDelayMs: 10 }
    const type = 'millrace-arrow-zerobus-table'
    const flow = [
      { id: 'tab', type: 'tab' },
      { id: 'table', type, table, endpoint, unityCatalogUrl, columns, ...quick, ...setup.config },
      ...nodes.map((node) => ({ z: 'tab', x: 0, y: 0, ...node })),
    ]
    const types = [tableNode, zerobusNode].map((node) => (RED: NodeAPI) => node(rig.at(RED, settings)))
    const credentials = { table: { clientId, clientSecret, ...setup.credentials } }
    await helper.load(types as never, flow as never, credentials as never)
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

  send(...messages: Json[]): void {
    for (const message of messages) helper.getNode('node').receive(message as never)
  }

  test(id = 'table'): Promise<{ status: number; body: Json }> {
    return this.post(`/millrace-arrow-zerobus-table/${id}/test`, {})
  }

  private at(RED: NodeAPI, more: Json): NodeAPI {
    const settings = Object.assign(Object.create(RED.settings), { userDir: this.userDir, ...more })
    return Object.assign(this.listenTo(RED), { settings })
  }
}
