import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { inConfig } from './in.config'
import { Listener } from './listener'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: inConfig,
    open: (host) => new Listener(host),
    close: (listener) => listener.close(),
  })
}
