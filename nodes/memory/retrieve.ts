import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { retrieveConfig } from './retrieve.config'
import { retrieving } from './retrieving'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: retrieveConfig,
    open: (host) => new Clerk(host, { ...host.config, missing: 'error' }, retrieving(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
