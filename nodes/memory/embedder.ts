import type { NodeAPI } from 'node-red'
import { action } from '../shared/admin'
import { toEngineError } from '../shared/errors'
import { tlsOf } from '../shared/network'
import { defineNode, openedBy } from '../shared/node'
import { resolve } from '../shared/settings'
import { embedderConfig } from './embedder.config'
import { EmbedderHost } from './embedding'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: embedderConfig,
    open({ node, config }) {
      const { apiKey } = (node.credentials ?? {}) as { apiKey?: string }
      return new EmbedderHost(config, String(resolve(RED, node, apiKey ?? '')), tlsOf(RED, config.tls))
    },
    // Each request has a connection of its own.
    link: () => ({ state: 'ready' }),
    close: (embedder) => embedder.close(),
  })
  // It costs a request there, which may have its price.
  action(RED, embedderConfig.type, 'test', async (id) => {
    try {
      return await openedBy<EmbedderHost>(RED, id)?.test()
    } catch (error) {
      // What fails is what a test is for.
      const { code, message } = toEngineError(error)
      return { code, message }
    }
  })
}
