import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { parametersConfig } from './parameters.config'
import { Tuner } from './tuner'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: parametersConfig,
    open: (host) => new Tuner(host),
    input: (tuner, message, reply) => tuner.input(message, reply),
    close: (tuner) => tuner.close(),
  })
}
