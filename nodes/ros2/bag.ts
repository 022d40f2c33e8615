import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, stateOf } from '../shared/node'
import { bagConfig } from './bag.config'
import { type BagSession, bagSession } from './bag-session'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: bagConfig,
    open: (host) => bagSession(host),
    input: (session, message, reply) => session.input(message, reply),
    close: (session) => session.close(),
  })
  lookup(RED, bagConfig.type, 'topics', (id) => stateOf<BagSession>(RED, id)?.topics?.())
}
