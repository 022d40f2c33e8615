/**
 * Delivers by HTTP or HTTPS. The other side has it when it answers with 2xx. Of the rest 408, 425, 429 and 5xx may work
 * later; every other answer is a refusal, which is not tried again.
 */
import { createHmac } from 'node:crypto'
import { lookup } from 'node:dns'
import * as http from 'node:http'
import type * as Https from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { EngineError, quote } from '../../shared/errors'
import { retryAfter } from '../../shared/network'
import { type Delivery, DriverError, type Transport } from './driver'
import { checkTls, networkError, type TlsOptions } from './network'
import { asJson, fill } from './template'

export const httpMethods = ['POST', 'PUT', 'PATCH', 'DELETE', 'GET'] as const

export type HttpAuth =
  | { type: 'bearer'; token: string }
  | { type: 'basic'; user: string; password: string }
  | { type: 'api-key'; header: string; key: string }

export interface HttpConfig {
  url: string
  /** Default POST. */
  method?: (typeof httpMethods)[number]
  headers?: Readonly<Record<string, string>>
  auth?: HttpAuth
  /**
   * `typed`, the default: an object with `type` (`display_update`, `alert`, `clear_action`, `message`), `retry_attempt`
   * and the fields of the data. `data`: the data alone. `template`: `template`, filled.
   */
  body?: 'typed' | 'data' | 'template'
  /** With `{{data.value}}`, `{{type}}`, `{{source}}`, `{{retry_attempt}}`. */
  template?: string
  /** Default `application/json`. Texts within a JSON template are escaped. */
  contentType?: string
  /** Signs the body: the header becomes `sha256=` and the HMAC in hexadecimal digits. */
  hmac?: { secret: string; header: string }
  tls?: TlsOptions
  /** So many redirects are followed. Default 0. Another host gets the body, but none of the headers set here. */
  redirects?: number
  /** Whether addresses of private networks and of this machine may be reached. Default true. */
  privateAddresses?: boolean
  /** So many connections are kept. Default 4. */
  connections?: number
}

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

const TYPES = { measurement: 'display_update', alert: 'alert', clear: 'clear_action', message: 'message' } as const
const LATER = new Set([408, 425, 429])
const SEE_OTHER = 303
const REDIRECTS = new Set([301, 302, SEE_OTHER, 307, 308])
/** Of an answer no more is kept. */
const ANSWER_MAX = 1 << 20
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** It loads when a driver is made: no other part of the library needs TLS. */
const https = () => require('node:https') as typeof Https

export class HttpTransport implements Transport {
  private readonly url: URL
  private readonly headers: Record<string, string>
  private readonly agents: { http: http.Agent; https: Https.Agent }

  constructor(private readonly config: HttpConfig) {
    const { tls = {}, connections: maxSockets = 4, hmac, auth, body, template } = config
    this.url = urlOf(config.url)
    this.headers = { 'content-type': config.contentType ?? 'application/json', ...lowerCase(config.headers ?? {}) }
    Object.assign(this.headers, authHeader(auth))
    for (const [name, value] of Object.entries(this.headers)) checkHeader(name, value)
    if (hmac) checkHeader(hmac.header, '')
    if (hmac?.secret === '') throw new EngineError('INVALID_OPTION', 'the secret of the signature is empty; enter one')
    if (body === 'template' && !template) throw new EngineError('INVALID_OPTION', 'the template is empty; enter one')
    checkTls(tls)
    const pool = { keepAlive: true, maxSockets }
    this.agents = { http: new http.Agent(pool), https: new (https().Agent)({ ...pool, ...tls }) }
  }

  /** Connections are made when they are needed. */
  async open(): Promise<void> {}

  async deliver(delivery: Delivery, attempt: number, signal: AbortSignal): Promise<unknown> {
    const { method = 'POST' } = this.config
    const answer = await this.ask(method, method === 'GET' ? '' : this.bodyOf(delivery, attempt), signal)
    judge(answer, this.url)
    return { status: answer.status, body: parse(answer) }
  }

  /** Asks with HEAD, which changes nothing there. */
  async test(signal: AbortSignal): Promise<string> {
    const answer = await this.ask('HEAD', '', signal).catch((error) => {
      if (!signal.aborted) throw error
      throw new DriverError('TIMEOUT', `${quote(this.url.host)} does not answer in time`, { fault: 'timeout' })
    })
    const { status } = answer
    // A callback need not know of HEAD.
    if (status !== 405 && status !== 501) judge(answer, this.url)
    return `HTTP ${status}`
  }

  async close(): Promise<void> {
    this.agents.http.destroy()
    this.agents.https.destroy()
  }

  private bodyOf({ kind, data, source }: Delivery, attempt: number): string {
    const { body = 'typed', template = '' } = this.config
    const type = TYPES[kind]
    const retry_attempt = attempt - 1
    try {
      if (body === 'template') {
        const isJson = /\bjson\b/.test(this.headers['content-type'] ?? '')
        return fill(template, { type, data, source, retry_attempt }, isJson ? asJson : undefined)
      }
      if (body === 'data') return JSON.stringify(data) ?? 'null'
      const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
      return JSON.stringify({ type, ...(isObject ? data : { data }), retry_attempt })
    } catch (cause) {
      throw new DriverError('INVALID_INPUT', `the data is no JSON: ${(cause as Error).message}`, { cause })
    }
  }

  /** One request, with the redirects that are allowed. */
  private async ask(method: string, body: string, signal: AbortSignal): Promise<Answer> {
    const { redirects = 0, hmac } = this.config
    let headers = { ...this.headers }
    if (hmac)
      headers[hmac.header.toLowerCase()] = `sha256=${createHmac('sha256', hmac.secret).update(body).digest('hex')}`
    let url = this.url
    for (let turn = 0; ; turn += 1) {
      const answer = await this.request(url, method, body, headers, signal)
      const { location } = answer.headers
      if (turn >= redirects || !REDIRECTS.has(answer.status) || !location) return answer
      const next = urlOf(new URL(location, url).href)
      // Any header may hold a secret.
      if (next.origin !== url.origin) headers = { 'content-type': headers['content-type'] as string }
      // It has done the work, and says where to read of it.
      if (answer.status === SEE_OTHER) [method, body] = ['GET', '']
      url = next
    }
  }

  private request(
    url: URL,
    method: string,
    body: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { privateAddresses = true } = this.config
    const secure = url.protocol === 'https:'
    const options: http.RequestOptions = { method, signal, agent: secure ? this.agents.https : this.agents.http }
    options.headers = body === '' ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) }
    return new Promise<Answer>((resolve, reject) => {
      if (!privateAddresses) {
        // An address is not looked up.
        const host = url.hostname.replace(/^\[|\]$/g, '')
        if (isIP(host) && isPrivate(host)) return reject(privateError(host))
        options.lookup = publicLookup
      }
      const request = (secure ? https() : http).request(url, options, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          if (text.length < ANSWER_MAX) text += part.slice(0, ANSWER_MAX - text.length)
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      })
      request.on('error', reject)
      request.end(body)
    }).catch((error) => {
      throw networkError(error, url.host)
    })
  }
}

/** Throws for every answer but a good one. */
function judge({ status, headers, body }: Answer, url: URL): void {
  if (status >= 200 && status < 300) return
  const said = body.trim().slice(0, 200)
  const text = `${quote(url.host)} answers with ${status}${said ? `: ${said}` : ''}`
  if (LATER.has(status) || status >= 500) {
    throw new DriverError('TRANSPORT', text, { fault: 'answer', retryAfterMs: retryAfter(headers['retry-after']) })
  }
  if (status === 401) throw new DriverError('REFUSED', `${text}; see the credentials`, { fault: 'auth' })
  if (status === 403) throw new DriverError('REFUSED', `${text}; see the permissions there`, { fault: 'permission' })
  if (REDIRECTS.has(status)) {
    const way = `it redirects to ${quote(headers.location)}; enter that address, or allow redirects`
    throw new DriverError('REFUSED', `${text}; ${way}`, { fault: 'answer' })
  }
  throw new DriverError('REFUSED', `${text}; see the address and what it expects`, { fault: 'answer' })
}

function parse({ headers, body }: Answer): unknown {
  if (!/\bjson\b/.test(headers['content-type'] ?? '')) return body
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw new EngineError('INVALID_OPTION', `the address is ${quote(text)}; it must begin with http:// or https://`)
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function checkHeader(name: string, value: string): void {
  const isText = /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
  if (TOKEN.test(name) && isText) return
  // The value may be a secret.
  throw new EngineError('INVALID_OPTION', `the header ${quote(name)} has a name or a value that HTTP does not allow`)
}

function authHeader(auth: HttpAuth | undefined): Record<string, string> {
  switch (auth?.type) {
    case 'bearer':
      return { authorization: `Bearer ${auth.token}` }
    case 'basic':
      return { authorization: `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}` }
    case 'api-key':
      return { [auth.header.toLowerCase()]: auth.key }
    default:
      return {}
  }
}

const notPublic = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(net, bits, 'ipv4')
for (const [net, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  notPublic.addSubnet(net, bits, 'ipv6')

function isPrivate(address: string): boolean {
  return notPublic.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function privateError(address: string): DriverError {
  const text = `${quote(address)} is an address of a private network; allow these in the settings, or enter another`
  return new DriverError('REFUSED', text, { fault: 'permission' })
}

/** Refuses what a name leads to, not the name alone: it may lead elsewhere each time. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '')
    const inner = addresses.find(({ address }) => isPrivate(address))
    if (inner) return callback(privateError(inner.address), '')
    const [first] = addresses
    if (options.all) callback(null, addresses)
    else callback(null, first?.address ?? '', first?.family)
  })
}
