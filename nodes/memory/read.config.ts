import { choice, defineConfig, number, optionalNumber, text, type Values, verbatim } from '../shared/config'
import { keyFields, missing, nameKinds, namespaceFields, queryKinds, store, timeFields, timeKinds } from './fields'

const operations = ['get', 'at', 'history', 'diff', 'list', 'query', 'backup'] as const
type Operation = (typeof operations)[number]
export type Input = 'namespace' | 'key' | 'time' | 'to' | 'query' | 'folder'

/** What an operation wants to know. */
export const inputs: Record<Operation, readonly Input[]> = {
  get: ['namespace', 'key'],
  at: ['namespace', 'key', 'time'],
  history: ['namespace', 'key'],
  diff: ['namespace', 'key', 'time', 'to'],
  list: ['namespace', 'key'],
  query: ['namespace', 'query'],
  backup: ['folder'],
}

export const readConfig = defineConfig({
  type: 'millrace-memory-read',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    store,
    operation: choice('get', operations),
    ...namespaceFields,
    ...keyFields,
    ...timeFields,
    /** The later one of two to compare; blank: now. */
    to: verbatim(''),
    toType: choice('str', timeKinds),
    query: verbatim('{}'),
    queryType: choice('json', queryKinds),
    /** Of versions, or of names; blank: all. */
    limit: optionalNumber(100, { min: 1, max: 1_000_000, whole: true }),
    folder: text('millrace/backup'),
    folderType: choice('str', nameKinds),
    missing,
  },
})

export type ReadConfig = Values<(typeof readConfig)['fields']>
