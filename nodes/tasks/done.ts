import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Closer } from './closer'
import { doneConfig } from './done.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: doneConfig,
    open: (host) => new Closer(host),
    input: (closer, message, reply) => closer.input(message, reply),
  })
}
