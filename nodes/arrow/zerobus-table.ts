import type { NodeAPI } from 'node-red'
import { action } from '../shared/admin'
import { tlsOf } from '../shared/network'
import { defineNode, openedBy } from '../shared/node'
import { clientOptions, TableHost } from './table-host'
import { tableConfig } from './zerobus-table.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: tableConfig,
    open: ({ config, node, text }) => {
      const tell = (key: string, params: Record<string, string | number>) => node.warn(text(key, params))
      const { ca, cert, key, rejectUnauthorized } = tlsOf(RED, config.tls) ?? {}
      if (cert || key || rejectUnauthorized === false) tell('warning.tls', {})
      const options = clientOptions(RED, config, node.id, node.credentials, ca)
      return new TableHost(options, config, tell)
    },
    close: (host) => host.close(),
    link: (host) => host.link,
    backlog: (host) => host.backlog,
  })
  action(RED, tableConfig.type, 'test', (id) => openedBy<TableHost>(RED, id)?.test())
}
