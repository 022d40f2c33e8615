import type { NodeAPI } from 'node-red'
import { tlsOf } from '../shared/network'
import { createDriver } from './lib'
import { defineOutlet } from './outlet'
import { redisConfig } from './redis.config'

type Credentials = { username?: string; password?: string; sentinelUsername?: string; sentinelPassword?: string }

export = (RED: NodeAPI): void => {
  defineOutlet(RED, redisConfig, ({ config, node }, seams) => {
    const { tls, ...rest } = config
    const settings = tlsOf(RED, tls)
    const credentials = (node.credentials ?? {}) as Credentials
    return createDriver('redis', { ...rest, ...credentials, ...(settings && { tls: settings }) }, seams)
  })
}
