import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, stateOf } from '../shared/node'
import { brokerConfig } from './broker.config'
import { BrokerHost } from './host'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: brokerConfig,
    open: ({ config }) => new BrokerHost(config, RED.settings.userDir ?? process.cwd()),
    close: (host) => host.close(),
  })
  lookup(RED, brokerConfig.type, 'view', (id) => stateOf<BrokerHost>(RED, id)?.look())
}
