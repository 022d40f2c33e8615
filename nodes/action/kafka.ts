import type { NodeAPI } from 'node-red'
import { tlsOf } from '../shared/network'
import { type KafkaNodeConfig, kafkaConfig } from './kafka.config'
import { createDriver, type KafkaSasl } from './lib'
import { defineOutlet } from './outlet'

type Credentials = { username?: string; password?: string; token?: string }

export = (RED: NodeAPI): void => {
  defineOutlet(RED, kafkaConfig, ({ config, node }, seams) => {
    const { tls, sasl: mechanism, idempotent, acks, ...rest } = config
    const settings = tlsOf(RED, tls)
    const sasl = saslOf(mechanism, (node.credentials ?? {}) as Credentials)
    return createDriver(
      'kafka',
      {
        ...rest,
        acks,
        idempotent: idempotent && acks === 'all',
        ...(sasl && { sasl }),
        ...(settings && { tls: settings }),
      },
      seams,
    )
  })
}

function saslOf(mechanism: KafkaNodeConfig['sasl'], credentials: Credentials): KafkaSasl | undefined {
  const { username = '', password = '', token = '' } = credentials
  if (mechanism === 'none') return undefined
  return mechanism === 'OAUTHBEARER' ? { mechanism, token } : { mechanism, username, password }
}
