/** A delivery as the text that Redis and Kafka keep of it. */
import { type DeliveryKind, DriverError } from './driver'

/** The data as JSON; a clear says that it is one. */
export function json(kind: DeliveryKind, data: unknown): string {
  try {
    const type = kind === 'clear' ? { type: 'clear_action' } : {}
    const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
    return JSON.stringify(isObject ? { ...data, ...type } : data) ?? 'null'
  } catch (cause) {
    throw new DriverError('INVALID_INPUT', `the data is no JSON: ${(cause as Error).message}`, { cause })
  }
}
