import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { writeConfig } from './write.config'
import { writing } from './writing'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: writeConfig,
    open: (host) => new Clerk(host, host.config, writing(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
