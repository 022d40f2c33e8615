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
import { columns } from './columns'

const DAY_MS = 86_400_000

/** What else has to hold is said by the engine, all at once. */
function url(typed: string): string {
  if (typed !== '' && !/^https?:\/\/[^\s/]+\/?$/.test(typed)) throw new Problem('config.url')
  return typed
}

function collector(typed: string): string {
  if (typed !== '' && !/^https?:\/\/[^\s/]+(\/\S*)?$/.test(typed)) throw new Problem('config.url')
  return typed
}

function fullName(typed: string): string {
  if (!/^\w+\.\w+\.\w+$/.test(typed)) throw new Problem('config.table')
  return typed
}

/** Below the user directory, and not above it by a detour. */
function folder(typed: string): string {
  if (/^[\\/]|^[A-Za-z]:|(^|[\\/])\.\.([\\/]|$)/.test(typed)) throw new Problem('config.folder')
  return typed
}

export const tableConfig = defineConfig({
  type: 'millrace-arrow-zerobus-table',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    endpoint: parsed('', url),
    /** `catalog.schema.table`. */
    table: parsed('', fullName),
    unityCatalogUrl: parsed('', url),
    /** Of its certificates, those that are trusted. */
    tls: optionalReference('tls-config'),
    columns,
    unknown: choice('error', ['error', 'ignore']),
    delivery: choice('flight', ['flight', 'protobuf', 'json']),
    compression: choice('none', ['none', 'lz4', 'zstd']),
    /** Messages are complete when their rows are on disk, and leave it when they have arrived. */
    spool: flag(false),
    /** Below the user directory; blank: one by the node's id. */
    spoolFolder: parsed('', folder),
    spoolSync: choice('each', ['each', 'soon']),
    spoolMb: number(1024, { min: 1, max: 1_000_000 }),
    spoolWhenFull: choice('block', ['block', 'refuse', 'drop-oldest']),
    attempts: number(5, { min: 1, max: 1000, whole: true }),
    baseDelayMs: number(100, { min: 1, max: DAY_MS, whole: true }),
    maxDelayMs: number(30_000, { min: 1, max: DAY_MS, whole: true }),
    inFlightMb: number(256, { min: 1, max: 1_000_000 }),
    /** Of an OpenTelemetry collector; blank: none. */
    telemetry: parsed('', collector),
    copiesArrow: flag(false),
    copiesProtobuf: flag(false),
    copiesFolder: parsed('', folder),
    copiesMb: number(64, { min: 0.001, max: 1_000_000 }),
    copiesKeep: number(10, { min: 1, max: 1_000_000, whole: true }),
    writerDisabled: flag(false),
  },
  credentials: { clientId: { type: 'text' }, clientSecret: { type: 'password' } },
})

export type TableConfig = Values<(typeof tableConfig)['fields']>
