/** All drivers, by their names. */
import { EngineError, quote } from '../../shared/errors'
import { type DeliveryOptions, DirectSender, type Seams } from './delivery'
import { ActionDriver, type Transport } from './driver'
import { type HttpConfig, HttpTransport } from './http'
import { type RedisConfig, RedisTransport } from './redis'

/** A new driver is a line here and one below. */
export interface DriverConfigs {
  http: HttpConfig
  redis: RedisConfig
}

const transports: { [K in keyof DriverConfigs]: (config: DriverConfigs[K]) => Transport } = {
  http: (config) => new HttpTransport(config),
  redis: (config) => new RedisTransport(config),
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
  return new ActionDriver(transport, new DirectSender(transport, config, seams), config.history ?? 100)
}
