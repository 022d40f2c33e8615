/** In which form messages leave, as it is saved. */
import { choice } from '../shared/config'

export const outputFields = {
  output: choice('object', ['object', 'lazy', 'raw', 'header']),
  int64: choice('bigint', ['bigint', 'string']),
  arrays: choice('numbers', ['numbers', 'buffers']),
}
