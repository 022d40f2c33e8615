import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { sendConfig } from './send.config'
import { Sender } from './sender'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: sendConfig,
    open: (host) => new Sender(host),
    input: (sender, message, reply) => sender.input(message, reply),
    close: (sender) => sender.close(),
  })
}
