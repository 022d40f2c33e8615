import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, openedBy } from '../shared/node'
import { contextConfig } from './context.config'
import { ContextHost } from './host'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: contextConfig,
    open: ({ config, node }) => new ContextHost(config, (error) => node.error(error.message)),
    close: (host) => host.close(),
  })
  lookup(RED, contextConfig.type, 'graph', (id) => openedBy<ContextHost>(RED, id)?.look())
}
