import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { eventsConfig } from './events.config'
import { Hearer } from './hearer'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: eventsConfig,
    open: (host) => new Hearer(host),
    close: (hearer) => hearer.close(),
  })
}
