import type { NodeAPI } from 'node-red'
import { defineNode } from '../shared/node'
import { Feed } from './feed'
import { watchConfig } from './watch.config'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: watchConfig,
    open: (host) => new Feed(host),
    close: (feed, removed) => feed.close(removed),
  })
}
