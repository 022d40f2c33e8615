/**
 * How ioredis gets its connections. By itself it hears one error of each only; a TLS handshake that fails may bring two,
 * and the second would end Node-RED.
 */
import { createConnection } from 'node:net'
import type * as IoRedis from 'ioredis'
import type { RedisOptions } from 'ioredis'

type Connector = NonNullable<RedisOptions['Connector']>
type Sentinel = (endpoint: object, options?: object) => IoRedis.Redis

export function safeConnector(library: typeof IoRedis): Connector {
  return class extends library.AbstractConnector {
    constructor(private readonly options: RedisOptions) {
      super(options.disconnectTimeout ?? 2000)
    }

    async connect(): Promise<ReturnType<typeof createConnection>> {
      const { host = '127.0.0.1', port = 6379, tls } = this.options
      const { connect } = require('node:tls') as typeof import('node:tls')
      this.connecting = true
      const stream = tls ? connect({ ...tls, host, port }) : createConnection({ host, port })
      stream.on('error', (error) => {
        this.firstError ??= error
      })
      this.stream = stream
      return stream
    }
  } as Connector
}

/** The same behind sentinels: of the connections to these, too. */
export function safeSentinelConnector(library: typeof IoRedis): Connector {
  const Connector = safeConnector(library)
  const { connectToSentinel } = library.SentinelConnector.prototype as unknown as { connectToSentinel: Sentinel }
  return class extends library.SentinelConnector {
    constructor(options: RedisOptions) {
      super(options)
      const connect: Sentinel = (endpoint, own) => connectToSentinel.call(this, endpoint, { ...own, Connector })
      Object.assign(this, { connectToSentinel: connect })
    }

    override async connect(tell: Parameters<IoRedis.SentinelConnector['connect']>[0]) {
      const stream = await super.connect(tell)
      stream.on('error', () => {})
      return stream
    }
  } as Connector
}
