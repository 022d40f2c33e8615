import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { batchConfig } from './batch.config'
import { Collector } from './collector'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: batchConfig,
    open: (host) => new Collector(host),
    input: (collector, message, reply) => collector.input(message, reply),
    close: (collector, removed) => collector.close(removed),
  })
}
