/** The admin route behind the connections in the sidebar. */
import type { NodeAPI } from 'node-red'
import { lookup } from './admin'
import { connections } from './listing'

export = (RED: NodeAPI): void => lookup(RED, 'millrace-shared-connections', 'list', connections)
