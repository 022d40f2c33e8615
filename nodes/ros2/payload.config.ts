/** The form in which messages leave, as saved properties. */
import { choice } from '../shared/config'

export const payloadFields = {
  output: choice('object', ['object', 'lazy', 'raw', 'header']),
  int64: choice('bigint', ['bigint', 'string']),
  arrays: choice('numbers', ['numbers', 'buffers']),
}
