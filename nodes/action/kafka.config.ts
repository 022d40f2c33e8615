import {
  choice,
  defineConfig,
  flag,
  number,
  optionalReference,
  Problem,
  parsed,
  text,
  type Values,
} from '../shared/config'
import { deliveryFields } from './delivery.config'
import { addresses, headers } from './typed'

const HEADER = /^([^\s:]+):\s*(\S.*)$/

function topic(typed: string): string {
  if (!/^[A-Za-z0-9._-]{1,240}$/.test(typed)) throw new Problem('config.topic')
  return typed
}

function client(typed: string): string {
  if (/\s/.test(typed)) throw new Problem('config.client')
  return typed
}

export const kafkaConfig = defineConfig({
  type: 'millrace-action-kafka',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    brokers: parsed('127.0.0.1:9092', (typed) => addresses(typed, 'config.brokers')),
    topic: parsed('millrace', topic),
    sasl: choice('none', ['none', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']),
    tls: optionalReference('tls-config'),
    acks: choice('all', ['all', 'leader']),
    idempotent: flag(true),
    compression: choice('none', ['none', 'gzip', 'zstd']),
    clientId: parsed('millrace', client),
    headers: parsed('', (typed) => headers(typed, HEADER, 'config.header')),
    ...deliveryFields,
    /** What goes at a time goes in one request. */
    concurrency: number(100, { min: 1, max: 1000, whole: true }),
  },
  credentials: {
    username: { type: 'text' },
    password: { type: 'password' },
    token: { type: 'password' },
  },
})

export type KafkaNodeConfig = Values<(typeof kafkaConfig)['fields']>
