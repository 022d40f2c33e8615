/** What goes wrong on the way to another side, told precisely. */
import { createSecureContext } from 'node:tls'
import { EngineError, quote } from '../../shared/errors'
import { DriverError, type Fault } from './driver'

/** Certificates and keys, as Node.js takes them. */
export interface TlsOptions {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  passphrase?: string
  servername?: string
  rejectUnauthorized?: boolean
}

/** What cannot be read is said now, not with every connection. */
export function checkTls(tls: TlsOptions): void {
  try {
    createSecureContext(tls)
  } catch (cause) {
    const text = `a certificate or key cannot be read: ${(cause as Error).message}; see that each is PEM, and they fit`
    throw new EngineError('INVALID_OPTION', text, { cause })
  }
}

const CODES: Record<string, [fault: Fault, what: string]> = {
  ENOTFOUND: ['dns', 'its name is not known; see how it is spelled, and whether this machine reaches a name server'],
  EAI_AGAIN: ['dns', 'no name server answers; see the network of this machine'],
  ECONNREFUSED: ['refused', 'nothing listens there; see its port, and whether it runs'],
  EHOSTUNREACH: ['unreachable', 'no way leads there; see the network between'],
  ENETUNREACH: ['unreachable', 'no way leads there; see the network of this machine'],
  ETIMEDOUT: ['timeout', 'it does not answer; see whether a firewall is between'],
  ECONNRESET: ['reset', 'it closed the connection'],
  EPIPE: ['reset', 'it closed the connection'],
  ECONNABORTED: ['reset', 'the connection was broken off'],
}

const TLS = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO|ERR_OSSL)/

/** An error of Node.js's network on the way to `where`. */
export function networkError(cause: unknown, where: string): DriverError {
  if (cause instanceof DriverError) return cause
  const { code = '', message = String(cause) } = cause as { code?: unknown; message?: string }
  const name = String(code)
  const [fault, what] = Object.hasOwn(CODES, name) ? (CODES[name] as [Fault, string]) : guess(name, message)
  return new DriverError('TRANSPORT', `${quote(where)}: ${what}${name ? ` (${name})` : ''}`, { fault, cause })
}

function guess(code: string, message: string): [Fault, string] {
  if (TLS.test(code) || /\b(certificate|TLS|SSL)\b/i.test(message)) return ['tls', `no TLS with it: ${message}`]
  if (/^HPE_/.test(code)) return ['answer', `it does not answer in HTTP: ${message}`]
  return ['other', message]
}
