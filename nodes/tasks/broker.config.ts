import { choice, defineConfig, number, optionalReference, Problem, parsed, text, type Values } from '../shared/config'
import { plain } from './fields'

const prefix = (typed: string) => {
  if (!/^[\w-]{1,64}$/.test(typed)) throw new Problem('config.prefix')
  return typed
}

const url = (...schemes: string[]) =>
  function read(typed: string): string {
    const fits = typed.split(',').every((one) => schemes.some((scheme) => one.trim().startsWith(`${scheme}://`)))
    if (!fits) throw new Problem('config.scheme', { schemes: schemes.map((scheme) => `${scheme}://`).join(', ') })
    return typed
  }

export const brokerConfig = defineConfig({
  type: 'millrace-tasks-broker',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    kind: choice('embedded', ['embedded', 'servers']),
    /** Below the user directory; blank: `millrace/tasks`. */
    path: plain,
    durability: choice('bounded', ['bounded', 'fsync']),
    natsUrl: parsed('nats://127.0.0.1:4222', url('nats', 'tls')),
    redisUrl: parsed('redis://127.0.0.1:6379', url('redis', 'rediss')),
    prefix: parsed('millrace', prefix),
    tls: optionalReference('tls-config'),
    offline: choice('wait', ['wait', 'fail']),
    /** So long results are kept, in seconds. */
    resultTtl: number(86_400, { min: 0, max: 3_155_760_000 }),
  },
  credentials: {
    natsUser: { type: 'text' },
    natsPassword: { type: 'password' },
    natsToken: { type: 'password' },
    /** The text of a `.creds` file. */
    natsCreds: { type: 'password' },
    redisUser: { type: 'text' },
    redisPassword: { type: 'password' },
  },
})

export type BrokerConfig = Values<(typeof brokerConfig)['fields']>
