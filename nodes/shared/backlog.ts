/** The admin route behind the spools and outboxes in the sidebar. */
import type { NodeAPI } from 'node-red'
import { lookup } from './admin'
import { backlogs } from './listing'

export = (RED: NodeAPI): void => lookup(RED, 'millrace-shared-backlog', 'list', backlogs)
