import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Foreman } from './foreman'
import { goalsConfig } from './goals.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: goalsConfig,
    open: (host) => new Foreman(host),
    close: (foreman) => foreman.close(),
  })
}
