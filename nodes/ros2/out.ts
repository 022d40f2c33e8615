import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { outConfig } from './out.config'
import { Talker } from './talker'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: outConfig,
    open: (host) => new Talker(host),
    input: (talker, message, reply) => talker.input(message, reply),
    close: (talker) => talker.close(),
  })
}
