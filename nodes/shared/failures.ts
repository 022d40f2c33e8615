/** The admin route behind the recent errors in the sidebar. */
import type { NodeAPI } from 'node-red'
import { lookup } from './admin'
import { failures } from './running'

export = (RED: NodeAPI): void => lookup(RED, 'millrace-shared-failures', 'list', failures)
