/**
 * How ioredis gets its connections. By itself it hears one error of each only; a TLS handshake that fails may bring two,
 * and the second would end Node-RED.
 */
import { createConnection } from 'node:net'
import { connect } from 'node:tls'
import type * as IoRedis from 'ioredis'
import type { RedisOptions } from 'ioredis'

export function safeConnector(library: typeof IoRedis): NonNullable<RedisOptions['Connector']> {
  return class extends library.AbstractConnector {
    constructor(private readonly options: RedisOptions) {
      super(options.disconnectTimeout ?? 2000)
    }

    async connect(): Promise<ReturnType<typeof createConnection>> {
      const { host = '127.0.0.1', port = 6379, tls } = this.options
      this.connecting = true
      const stream = tls ? connect({ ...tls, host, port }) : createConnection({ host, port })
      stream.on('error', (error) => {
        this.firstError ??= error
      })
      this.stream = stream
      return stream
    }
  } as NonNullable<RedisOptions['Connector']>
}
