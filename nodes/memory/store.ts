import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, openedBy, stateOf } from '../shared/node'
import { StoreHost } from './host'
import { storeConfig } from './store.config'

export = (RED: NodeAPI): void => {
  const hostOf = (id: string) => stateOf<StoreHost>(RED, id)
  defineNode(RED, {
    config: storeConfig,
    open: ({ config }) => new StoreHost(config, RED.settings.userDir ?? process.cwd()),
    close: (host) => host.close(),
    link: (host) => host.link,
  })
  lookup(RED, storeConfig.type, 'view', (id, given) => openedBy<StoreHost>(RED, id)?.view(given))
  lookup(RED, storeConfig.type, 'namespaces', (id, { prefix }) => hostOf(id)?.namespaces(String(prefix ?? '')))
  lookup(RED, storeConfig.type, 'keys', (id, { namespace, prefix }) =>
    hostOf(id)?.keys(String(namespace), String(prefix ?? '')),
  )
}
