import { join, resolve } from 'node:path'
import type { NodeAPI } from 'node-red'
import { lookup } from '../shared/admin'
import { tlsOf } from '../shared/network'
import { defineNode, stateOf } from '../shared/node'
import { type BrokerConfig, brokerConfig } from './broker.config'
import { BrokerHost } from './host'
import type { ConnectOptions, Credentials } from './lib'

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: brokerConfig,
    open: ({ config, node }) => {
      const onProblem = (problem: Error) => node.warn(problem.message)
      return new BrokerHost(connectionOf(RED, config, node.credentials as Credentials | undefined, onProblem))
    },
    close: (host) => host.close(),
    link: (host) => host.link,
  })
  lookup(RED, brokerConfig.type, 'view', (id) => stateOf<BrokerHost>(RED, id)?.look())
}

const DEFAULT_PATH = join('millrace', 'tasks')

function connectionOf(
  RED: NodeAPI,
  config: BrokerConfig,
  credentials: Credentials = {},
  onProblem: (problem: Error) => void,
): ConnectOptions {
  const { kind, path, durability, natsUrl, redisUrl, prefix, offline, resultTtl } = config
  const resultTtlMs = resultTtl * 1000
  if (kind === 'embedded') {
    return { path: resolve(RED.settings.userDir ?? process.cwd(), path || DEFAULT_PATH), durability, resultTtlMs }
  }
  const tls = tlsOf(RED, config.tls)
  return { natsUrl, redisUrl, prefix, offline, resultTtlMs, credentials, onProblem, ...(tls && { tls }) }
}
