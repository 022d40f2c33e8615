import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Source } from './source'
import { workerConfig } from './worker.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: workerConfig,
    open: (host) => new Source(host),
    close: (source) => source.close(),
  })
}
