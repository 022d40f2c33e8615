import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Fetcher } from './fetcher'
import { resultConfig } from './result.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: resultConfig,
    open: (host) => new Fetcher(host),
    input: (fetcher, message, reply) => fetcher.input(message, reply),
    close: (fetcher) => fetcher.close(),
  })
}
