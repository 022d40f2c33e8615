import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Gatherer } from './gatherer'
import { syncConfig } from './sync.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: syncConfig,
    open: (host) => new Gatherer(host),
    close: (gatherer) => gatherer.close(),
  })
}
