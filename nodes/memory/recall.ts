import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { recallConfig } from './recall.config'
import { recalling } from './recalling'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: recallConfig,
    open: (host) => new Clerk(host, { ...host.config, missing: 'error' }, recalling(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
