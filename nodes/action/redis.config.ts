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
import { addresses } from './typed'

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
    hosts: parsed('127.0.0.1:6379', (typed) => addresses(typed, 'config.hosts')),
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
