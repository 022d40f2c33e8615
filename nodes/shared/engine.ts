/** The admin route behind the engine in the sidebar. */
import type { NodeAPI } from 'node-red'
import { lookup } from './admin'
import { figures } from './listing'

export = (RED: NodeAPI): void => lookup(RED, 'millrace-shared-engine', 'list', figures)
