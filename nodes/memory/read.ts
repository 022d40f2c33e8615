import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { readConfig } from './read.config'
import { reading } from './reading'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: readConfig,
    open: (host) => new Clerk(host, host.config, reading(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
