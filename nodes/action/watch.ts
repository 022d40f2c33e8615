import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, stateOf } from '../shared/node'
import { Monitor } from './monitor'
import { watchConfig } from './watch.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: watchConfig,
    open: (host) => new Monitor(host),
    input: (monitor, message, reply) => monitor.input(message, reply),
    close: (monitor, removed) => monitor.close(removed),
  })
  lookup(RED, watchConfig.type, 'history', (id, asked) => stateOf<Monitor>(RED, id)?.view(asked))
}
