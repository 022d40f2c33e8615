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

const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/
const HEADER = /^([^\s:]+):\s*(\S.*)$/

/** Blanks between them: `host:port`. */
function brokers(typed: string): { host: string; port: number }[] {
  const parts = typed.split(/[\s,;]+/).filter(Boolean)
  return parts.map((part) => {
    const [, six, name, digits] = HOST.exec(part) ?? []
    const port = Number(digits)
    if (!(port >= 1 && port <= 65_535)) throw new Problem('config.brokers')
    return { host: (six ?? name) as string, port }
  })
}

function topic(typed: string): string {
  if (!/^[A-Za-z0-9._-]{1,240}$/.test(typed)) throw new Problem('config.topic')
  return typed
}

function client(typed: string): string {
  if (/\s/.test(typed)) throw new Problem('config.client')
  return typed
}

/** A line each: `name: value`. */
function headers(typed: string): { [name: string]: string } {
  const lines = typed.split(/\r?\n/).filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = HEADER.exec(line.trim()) ?? []
      if (name === undefined || value === undefined) throw new Problem('config.header')
      return [name, value]
    }),
  )
}

export const kafkaConfig = defineConfig({
  type: 'millrace-action-kafka',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    brokers: parsed('127.0.0.1:9092', brokers),
    topic: parsed('millrace', topic),
    sasl: choice('none', ['none', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']),
    tls: optionalReference('tls-config'),
    acks: choice('all', ['all', 'leader']),
    idempotent: flag(true),
    compression: choice('none', ['none', 'gzip', 'zstd']),
    clientId: parsed('millrace', client),
    headers: parsed('', headers),
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
