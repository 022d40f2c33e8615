import {
  choice,
  defineConfig,
  number,
  optionalNumber,
  optionalReference,
  Problem,
  parsed,
  text,
  type Values,
} from '../shared/config'
import { deliveryFields } from './delivery.config'

const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/

/** A line each: `host:port`. */
function hosts(typed: string): { host: string; port: number }[] {
  const lines = typed
    .split(/[\s,;]+/)
    .map((line) => line.trim())
    .filter(Boolean)
  return lines.map((line) => {
    const [, six, name, digits] = HOST.exec(line) ?? []
    const port = Number(digits)
    if (!(port >= 1 && port <= 65_535)) throw new Problem('config.hosts')
    return { host: (six ?? name) as string, port }
  })
}

function key(typed: string): string {
  if (typed === '') throw new Problem('config.key')
  return typed
}

export const redisConfig = defineConfig({
  type: 'millrace-action-redis',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    topology: choice('single', ['single', 'sentinel', 'cluster']),
    hosts: parsed('127.0.0.1:6379', hosts),
    master: parsed('mymaster', (typed) => typed),
    db: number(0, { min: 0, max: 1_000_000, whole: true }),
    tls: optionalReference('tls-config'),
    mode: choice('keys', ['keys', 'pubsub', 'stream']),
    key: parsed('millrace', key),
    expireSeconds: optionalNumber(3600, { min: 0.001, max: 31_557_600 }),
    maxLength: number(10_000, { min: 1, max: 1_000_000_000, whole: true }),
    ...deliveryFields,
  },
  credentials: {
    username: { type: 'text' },
    password: { type: 'password' },
    sentinelUsername: { type: 'text' },
    sentinelPassword: { type: 'password' },
  },
})

export type RedisNodeConfig = Values<(typeof redisConfig)['fields']>
