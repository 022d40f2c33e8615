import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { searchConfig } from './search.config'
import { searching } from './searching'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: searchConfig,
    open: (host) => new Clerk(host, { ...host.config, missing: 'error' }, searching(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
