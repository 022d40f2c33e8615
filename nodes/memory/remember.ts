import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { rememberConfig } from './remember.config'
import { remembering } from './remembering'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: rememberConfig,
    open: (host) => new Clerk(host, { ...host.config, missing: 'error' }, remembering(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
