/** A Zerobus node and its table in a running flow, and the test server that they send to. */
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import type { ZerobusStats } from '../../nodes/arrow/lib'
import type { TableHost } from '../../nodes/arrow/table-host'
import zerobusNode from '../../nodes/arrow/zerobus'
import tableNode from '../../nodes/arrow/zerobus-table'
import { stateOf } from '../../nodes/shared/node'
import type { Json } from '../shared/rig'
import { table } from '../zerobus/rig'
import type { ZerobusServer } from '../zerobus/server'
import { ArrowRig, temporary } from './rig'

export type { Json, Seen } from '../shared/rig'

const tlsNode = require('@node-red/nodes/core/network/05-tls.js') as (RED: NodeAPI) => void

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
  /** Other nodes that belong to no tab. */
  globals?: Json[]
  /** Of an earlier life. */
  userDir?: string
}

export class ZerobusRig extends ArrowRig<Event> {
  static async start(server: ZerobusServer | undefined, setup: Setup = {}): Promise<ZerobusRig> {
    const { userDir = temporary(), settings = {}, failures = true, globals = [] } = setup
    const rig = new ZerobusRig(HEARD, userDir)
    helper.settings({ userDir })
    const { endpoint, unityCatalogUrl, clientId, clientSecret } = server?.config(table) ?? {}
    const node = {
      id: 'node',
      type: 'millrace-arrow-zerobus',
      table: 'table',
      wires: [['out'], failures ? ['failed'] : []],
    }
    const quick = { attempts: 3, baseDelayMs: 1, maxDelayMs: 10 }
    const type = 'millrace-arrow-zerobus-table'
    const tableConfig = { id: 'table', type, table, endpoint, unityCatalogUrl, columns, ...quick, ...setup.config }
    const types = [tlsNode, tableNode, zerobusNode].map((node) => (RED: NodeAPI) => node(rig.at(RED, settings)))
    const credentials = { table: { clientId, clientSecret, ...setup.credentials } }
    const flow = ZerobusRig.flowOf(HEARD, [node], [...globals, tableConfig])
    await helper.load(types as never, flow as never, credentials as never)
    rig.attach()
    return rig
  }

  /** Figures of the table's client. */
  get stats(): ZerobusStats | undefined {
    return stateOf<TableHost>({ nodes: helper } as never, 'table')?.stats
  }

  test(id = 'table'): Promise<{ status: number; body: Json }> {
    return this.post(`/millrace-arrow-zerobus-table/${id}/test`, {})
  }
}
