import { quote } from '../../shared/errors'
import { networkFault } from '../../shared/network'
import { DriverError } from './driver'

export { checkTls, type TlsOptions } from '../../shared/network'

/** An error of Node.js's network on the way to `where`. */
export function networkError(cause: unknown, where: string): DriverError {
  if (cause instanceof DriverError) return cause
  const { fault, what } = networkFault(cause)
  return new DriverError('TRANSPORT', `${quote(where)}: ${what}`, { fault, cause })
}
