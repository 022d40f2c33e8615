import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Clerk } from './clerk'
import { ingestConfig } from './ingest.config'
import { ingesting } from './ingesting'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: ingestConfig,
    open: (host) => new Clerk(host, { ...host.config, missing: 'error' }, ingesting(host)),
    input: (clerk, message, reply) => clerk.input(message, reply),
    close: (clerk) => clerk.close(),
  })
}
