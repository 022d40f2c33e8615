import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { defineNode, stateOf } from '../shared/node'
import { Session } from './session'
import { syncConfig } from './sync.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: syncConfig,
    open: (host) => new Session(host),
    input: (session, message, reply) => session.input(message, reply),
    close: (session) => session.close(),
  })
  lookup(RED, syncConfig.type, 'topics', (id) => stateOf<Session>(RED, id)?.topics())
}
