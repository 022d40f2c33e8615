import {
  choice,
  defineConfig,
  flag,
  number,
  optionalReference,
  Problem,
  parsed,
  text,
  type Values,
} from '../shared/config'
import { deliveryFields } from './delivery.config'
import { headers } from './typed'

const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(\S.*)$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*$/

function address(typed: string): string {
  if (!/^https?:\/\/[^\s/]/i.test(typed)) throw new Problem('config.url')
  return typed
}

function headerName(typed: string): string {
  if (!HEADER_NAME.test(typed)) throw new Problem('config.headerName')
  return typed
}

export const httpConfig = defineConfig({
  type: 'millrace-action-http',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    url: parsed('', address),
    method: choice('POST', ['POST', 'PUT', 'PATCH', 'DELETE', 'GET']),
    /** A line each: `Name: value`. */
    headers: parsed('', (typed) => headers(typed, HEADER, 'config.header')),
    auth: choice('none', ['none', 'bearer', 'basic', 'api-key']),
    keyHeader: parsed('X-API-Key', headerName),
    tls: optionalReference('tls-config'),
    body: choice('typed', ['typed', 'data', 'template']),
    template: text(),
    contentType: parsed('application/json', (typed) => typed),
    /** Blank: no signature. */
    signatureHeader: parsed('', headerName),
    redirects: number(0, { min: 0, max: 20, whole: true }),
    privateAddresses: flag(true),
    ...deliveryFields,
  },
  credentials: {
    token: { type: 'password' },
    user: { type: 'text' },
    password: { type: 'password' },
    secret: { type: 'password' },
  },
})

export type HttpNodeConfig = Values<(typeof httpConfig)['fields']>
