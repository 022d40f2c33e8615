import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Desk } from './desk'
import { serveConfig } from './serve.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: serveConfig,
    open: (host) => new Desk(host),
    close: (desk) => desk.close(),
  })
}
