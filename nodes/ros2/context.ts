import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import type { EngineError } from '../shared/errors'
import { defineNode, openedBy } from '../shared/node'
import { contextConfig } from './context.config'
import { ContextHost } from './host'
import { interfaces } from './network'
import { saidOf } from './said'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: contextConfig,
    open({ config, node, text }) {
      const report = (error: EngineError) => node.error(error)
      return new ContextHost(config, report, (transport) => node.log(saidOf(transport, text).join('; ')))
    },
    close: (host) => host.close(),
    link: (host) => host.link,
  })
  lookup(RED, contextConfig.type, 'interfaces', interfaces)
  lookup(RED, contextConfig.type, 'graph', (id) => openedBy<ContextHost>(RED, id)?.look())
}
