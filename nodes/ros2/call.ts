import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Asker } from './asker'
import { callConfig } from './call.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: callConfig,
    open: (host) => new Asker(host),
    input: (asker, message, reply) => asker.input(message, reply),
    close: (asker) => asker.close(),
  })
}
