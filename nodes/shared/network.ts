/** What goes wrong on the way to another side, told precisely. */
import type { NodeAPI } from 'node-red'
import { EngineError } from './errors'

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
  // Its load takes longer than that of all else here.
  const { createSecureContext } = require('node:tls') as typeof import('node:tls')
  try {
    createSecureContext(tls)
  } catch (cause) {
    const text = `a certificate or key cannot be read: ${(cause as Error).message}; see that each is PEM, and they fit`
    throw new EngineError('INVALID_OPTION', text, { cause })
  }
}

/** What Node-RED's own node for TLS settings has; nothing where none is chosen. */
export function tlsOf(RED: NodeAPI, id: string): TlsOptions | undefined {
  if (id === '') return undefined
  const node = RED.nodes.getNode(id) as { valid?: boolean; addTLSOptions?(options: TlsOptions): TlsOptions } | null
  if (node?.addTLSOptions && node.valid !== false) return node.addTLSOptions({})
  throw new EngineError('INVALID_OPTION', 'the TLS settings are not there, or have wrong files; choose them anew')
}

export type NetworkFault = 'dns' | 'refused' | 'unreachable' | 'timeout' | 'reset' | 'tls' | 'answer' | 'other'

const CODES: Record<string, [fault: NetworkFault, what: string]> = {
  ENOTFOUND: ['dns', 'its name is not known; see how it is spelled, and whether this machine reaches a name server'],
  EAI_AGAIN: ['dns', 'no name server answers; see the network of this machine'],
  ECONNREFUSED: ['refused', 'nothing listens there; see its port, and whether it runs'],
  EHOSTUNREACH: ['unreachable', 'no way leads there; see the network between'],
  ENETUNREACH: ['unreachable', 'no way leads there; see the network of this machine'],
  ETIMEDOUT: ['timeout', 'it does not answer; see whether a firewall is between'],
  ECONNRESET: ['reset', 'it closed the connection'],
  EPIPE: ['reset', 'it closed the connection'],
  // Of `fetch`.
  UND_ERR_SOCKET: ['reset', 'it closed the connection'],
  UND_ERR_CONNECT_TIMEOUT: ['timeout', 'it does not answer; see whether a firewall is between'],
  ECONNABORTED: ['reset', 'the connection was broken off'],
}

const TLS = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO|ERR_OSSL)/

/** What an error of Node.js's network means, and what to look at. */
export function networkFault(cause: unknown): { fault: NetworkFault; what: string } {
  const { code = '', message = String(cause) } = cause as { code?: unknown; message?: string }
  const name = String(code)
  const [fault, what] = Object.hasOwn(CODES, name) ? (CODES[name] as [NetworkFault, string]) : guess(name, message)
  return { fault, what: `${what}${name ? ` (${name})` : ''}` }
}

function guess(code: string, message: string): [NetworkFault, string] {
  if (TLS.test(code) || /\b(certificate|TLS|SSL)\b/i.test(message)) return ['tls', `no TLS with it: ${message}`]
  if (/^HPE_/.test(code)) return ['answer', `it does not answer in HTTP: ${message}`]
  return ['other', message]
}

/** How long to wait before a try: any part of a growing time, so that those who failed together do not come back together. */
export function backoff(attempt: number, firstMs: number, longestMs: number, random = Math.random): number {
  return random() * Math.min(longestMs, firstMs * 2 ** (attempt - 1))
}

/** What a `Retry-After` asks for, in ms; it has seconds, or a date. */
export function retryAfter(header: string | null | undefined): number {
  if (!header) return 0
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return ms > 0 ? ms : 0
}
