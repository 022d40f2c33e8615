import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Shipper } from './shipper'
import { zerobusConfig } from './zerobus.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: zerobusConfig,
    open: (host) => new Shipper(host),
    input: (shipper, message, reply) => shipper.input(message, reply),
    close: (shipper) => shipper.close(),
  })
}
