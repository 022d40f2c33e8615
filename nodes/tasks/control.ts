import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { controlConfig } from './control.config'
import { Operator } from './operator'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: controlConfig,
    open: (host) => new Operator(host),
    input: (operator, message, reply) => operator.input(message, reply),
    close: (operator) => operator.close(),
  })
}
