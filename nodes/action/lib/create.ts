/** All drivers, by their names. */
import { EngineError, quote } from '../../shared/errors'
import { type DeliveryOptions, DirectSender, type Seams } from './delivery'
import { ActionDriver, type Transport } from './driver'
import { type HttpConfig, HttpTransport } from './http'
import { type KafkaConfig, KafkaTransport } from './kafka'
import { OutboxSender } from './outbox'
import { type PythonConfig, PythonTransport } from './python-transport'
import { type RedisConfig, RedisTransport } from './redis'

const DAY_MS = 86_400_000

/** A new driver is a line here and one below. */
export interface DriverConfigs {
  http: HttpConfig
  redis: RedisConfig
  kafka: KafkaConfig
  python: PythonConfig
}

const transports: { [K in keyof DriverConfigs]: (config: DriverConfigs[K]) => Transport } = {
  http: (config) => new HttpTransport(config),
  redis: (config) => new RedisTransport(config),
  kafka: (config) => new KafkaTransport(config),
  python: (config) => new PythonTransport(config),
}

/** What a kind delivers otherwise than the others. */
const own: { [K in keyof DriverConfigs]?: (config: DriverConfigs[K] & DeliveryOptions) => DeliveryOptions } = {
  // What goes at a time goes in one request.
  kafka: ({ concurrency = 100 }) => ({ concurrency }),
  // The engine ends a call that takes too long: what waits for it there has not begun. A call that failed may have
  // done half of its work, so that trying again is for the script's author to want.
  python: ({ retries = 0, concurrency = 16, historyCapacity = 1000 }) => ({
    retries,
    concurrency,
    history: historyCapacity,
    timeoutMs: DAY_MS,
  }),
}

export type DriverKind = keyof DriverConfigs

/** A driver that is still to be initialized. Throws where its settings, or a package that it needs, are wrong. */
export function createDriver<K extends DriverKind>(
  kind: K,
  config: DriverConfigs[K] & DeliveryOptions,
  seams: Seams = {},
): ActionDriver {
  if (!Object.hasOwn(transports, kind)) {
    const known = Object.keys(transports).join(', ')
    throw new EngineError('INVALID_OPTION', `there is no driver ${quote(kind)}; there are: ${known}`)
  }
  const transport = transports[kind](config)
  const options = { ...config, ...own[kind]?.(config) }
  const sender = options.outbox
    ? new OutboxSender(transport, options.outbox, options, seams)
    : new DirectSender(transport, options, seams)
  return new ActionDriver(transport, sender, options.history ?? 100, seams.undelivered)
}
