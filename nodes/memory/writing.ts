/**
 * What a `millrace-memory-write` node does: a put, many of them at once, a delete, the return of an old
 * version, a vector; and it says how much of a namespace is kept, and what is found quickly.
 */
import { EngineError, quote } from '../shared/errors'
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import { embedderOf } from './embedding'
import type { Database, Embeddable, Moment, Operation, PutOptions, Retention, Written } from './lib'
import { reader } from './typed'
import type { writeConfig } from './write.config'

interface Given {
  namespace: string
  key: string
  value: unknown
  time: Moment
  /** Of a vector. */
  metadata: unknown
  options: PutOptions
}

const WITH_VALUE = ['put', 'batch', 'embed', 'retain', 'index']
const WITHOUT_KEY = ['batch', 'retain', 'index']
const NOTHING = { version: null, time: null, previous: null }

export function writing(host: Host<(typeof writeConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const { operation, ttl } = config
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const key = reader(RED, node, config.key, config.keyType)
  const value = reader(RED, node, config.value, config.valueType)
  const time = reader(RED, node, config.time, config.timeType)
  const by = embedderOf(host, operation === 'embed' ? config.embedder : '')

  return {
    async read(message) {
      const { ifVersion, causes } = message as PutOptions
      return {
        namespace: nameOf(await namespace(message)),
        key: WITHOUT_KEY.includes(operation) ? '' : nameOf(await key(message)),
        value: WITH_VALUE.includes(operation) ? await value(message) : undefined,
        metadata: message.metadata,
        time: operation === 'restore' ? ((await time(message)) as Moment) : 0,
        options: {
          ...(ifVersion !== undefined && { ifVersion }),
          ...(causes !== undefined && { causes }),
          ...(ttl !== null && operation !== 'delete' && { ttlMs: ttl * 1000 }),
        },
      }
    },

    async run(db, given) {
      if (operation === 'batch') return { memory: await writeAll(db, given) }
      if (operation === 'retain') return { memory: await retain(db, given) }
      if (operation === 'index') return { memory: await index(db, given) }
      const { namespace, key } = given
      return { memory: { namespace, key, ...((await write(db, given)) ?? NOTHING) } }
    },
  }

  function write(db: Database, { namespace, key, value, time, metadata, options }: Given): Promise<Written> {
    if (operation === 'delete') return db.delete(namespace, key, options)
    if (operation === 'restore') return db.restore(namespace, key, time)
    if (operation === 'embed') return db.embed(namespace, key, value as Embeddable, metadata, { ...options, ...by })
    return db.put(namespace, key, value, options)
  }
}

/** Says how much history a namespace keeps, and gives up the rest. */
async function retain(db: Database, { namespace, value }: Given): Promise<object> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new EngineError(
      'INVALID_INPUT',
      `${quote(value)} is no retention; give {versions}, {ageMs} or both; {} keeps all`,
    )
  }
  await db.retain(namespace, value as Retention)
  return { namespace, retention: value, givenUp: await db.compact() }
}

/** Makes the indexes that are missing; there may be more. */
async function index(db: Database, { namespace, value }: Given): Promise<object> {
  const paths: unknown[] = Array.isArray(value) ? value : [value]
  if (!paths.every((path) => typeof path === 'string')) {
    throw new EngineError('INVALID_INPUT', `${quote(value)} is no path; give one such as "site", or a list of them`)
  }
  const there = await db.indexes(namespace)
  for (const path of new Set(paths as string[])) {
    if (!there.includes(path)) await db.createIndex(namespace, path)
  }
  return { namespace, indexes: await db.indexes(namespace) }
}

async function writeAll(db: Database, { namespace, value, options: { ttlMs } }: Given): Promise<object[]> {
  const operations = operationsOf(value).map((operation) => ({
    namespace,
    ...(ttlMs !== undefined && 'value' in operation && { ttlMs }),
    ...operation,
  })) as Operation[]
  const written = await db.putBatch(operations)
  return operations.map(({ namespace, key }, place) => ({ namespace, key, ...(written[place] ?? NOTHING) }))
}

/** A list of operations, or an object: each of its properties is a document. */
function operationsOf(value: unknown): object[] {
  if (Array.isArray(value)) return value.map((given, place) => operationOf(given, `[${place}]`))
  if (value !== null && typeof value === 'object' && !Buffer.isBuffer(value)) {
    return Object.entries(value).map(([key, value]) => operationOf({ key, value }, `.${key}`))
  }
  throw new EngineError(
    'INVALID_INPUT',
    `the batch is ${quote(value)}; give a list of {key, value}, or an object of documents by their keys`,
  )
}

/** An operation without a value deletes: that must be meant. */
function operationOf(given: unknown, path: string): object {
  if (given !== null && typeof given === 'object' && 'key' in given) {
    if (!('value' in given) || given.value !== undefined) return given
  }
  throw new EngineError(
    'INVALID_INPUT',
    `the batch${path} is ${quote(given)}; it needs a key and a value, or a key alone to delete it`,
  )
}
