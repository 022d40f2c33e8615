import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Starter } from './starter'
import { workflowConfig } from './workflow.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: workflowConfig,
    open: (host) => new Starter(host),
    input: (starter, message, reply) => starter.input(message, reply),
    close: (starter) => starter.close(),
  })
}
