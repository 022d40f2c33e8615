import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { graphConfig } from './graph.config'
import { Observer } from './observer'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: graphConfig,
    open: (host) => new Observer(host),
    input: (observer, message, reply) => observer.input(message, reply),
    close: (observer) => observer.close(),
  })
}
