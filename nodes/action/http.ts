import type { NodeAPI } from 'node-red'
import { tlsOf } from '../shared/network'
import { httpConfig } from './http.config'
import { createDriver } from './lib'
import type { HttpAuth } from './lib/http'
import { defineOutlet } from './outlet'

type Credentials = { token?: string; user?: string; password?: string; secret?: string }

export = (RED: NodeAPI): void => {
  defineOutlet(RED, httpConfig, ({ config, node }, seams) => {
    const { auth, keyHeader, signatureHeader, tls, concurrency, ...rest } = config
    const credentials = (node.credentials ?? {}) as Credentials
    const settings = tlsOf(RED, tls)
    const sent = authOf(auth, keyHeader, credentials)
    return createDriver(
      'http',
      {
        ...rest,
        concurrency,
        connections: concurrency,
        ...(sent && { auth: sent }),
        ...(signatureHeader && { hmac: { header: signatureHeader, secret: credentials.secret ?? '' } }),
        ...(settings && { tls: settings }),
      },
      seams,
    )
  })
}

function authOf(kind: string, header: string, credentials: Credentials): HttpAuth | undefined {
  const { token = '', user = '', password = '' } = credentials
  switch (kind) {
    case 'bearer':
      return { type: 'bearer', token }
    case 'basic':
      return { type: 'basic', user, password }
    case 'api-key':
      return { type: 'api-key', header, key: token }
    default:
      return undefined
  }
}
