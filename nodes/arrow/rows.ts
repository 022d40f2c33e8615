import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { rowsConfig } from './rows.config'
import { Unpacker } from './unpacker'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: rowsConfig,
    open: (host) => new Unpacker(host),
    input: (unpacker, message, reply) => unpacker.input(message, reply),
    close: (unpacker) => unpacker.close(),
  })
}
