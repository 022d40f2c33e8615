import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { actionConfig } from './action.config'
import { Commander } from './commander'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: actionConfig,
    open: (host) => new Commander(host),
    input: (commander, message, reply) => commander.input(message, reply),
    close: (commander) => commander.close(),
  })
}
