/** The admin route behind the ROS 2 graph in the sidebar. */
import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { openedBy } from '../shared/node'
import { CONTEXT, domainOf } from './finding'
import { ContextHost } from './host'

export = (RED: NodeAPI): void =>
  lookup(RED, CONTEXT, 'domain', (id, { search }) => {
    const host = openedBy<unknown>(RED, id)
    return host instanceof ContextHost ? domainOf(host, String(search ?? '')) : undefined
  })
