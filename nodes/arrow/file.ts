import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { fileConfig } from './file.config'
import { FileReading, FileWriting } from './files'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: fileConfig,
    open: (host) => (host.config.action === 'write' ? new FileWriting(host) : new FileReading(host)),
    input: (files, message, reply) => files.input(message, reply),
    close: (files, removed) => files.close(removed),
  })
}
