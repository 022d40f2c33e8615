/** What a `millrace-memory-write` node does: a put, many of them at once, a delete, the return of an old version, a vector. */
import { EngineError, quote } from '../shared/errors'
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import type { Database, Embeddable, Moment, Operation, PutOptions, Written } from './lib'
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

const WITH_VALUE = ['put', 'batch', 'embed']
const NOTHING = { version: null, time: null, previous: null }

export function writing({ RED, node, config }: Host<(typeof writeConfig)['fields']>): Job<Given> {
  const { operation, ttl } = config
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const key = reader(RED, node, config.key, config.keyType)
  const value = reader(RED, node, config.value, config.valueType)
  const time = reader(RED, node, config.time, config.timeType)

  return {
    async read(message) {
      const { ifVersion, causes } = message as PutOptions
      return {
        namespace: nameOf(await namespace(message)),
        key: operation === 'batch' ? '' : nameOf(await key(message)),
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
      const { namespace, key } = given
      return { memory: { namespace, key, ...((await write(db, given)) ?? NOTHING) } }
    },
  }

  function write(db: Database, { namespace, key, value, time, metadata, options }: Given): Promise<Written> {
    if (operation === 'delete') return db.delete(namespace, key, options)
    if (operation === 'restore') return db.restore(namespace, key, time)
    if (operation === 'embed') return db.embed(namespace, key, value as Embeddable, metadata, options)
    return db.put(namespace, key, value, options)
  }
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
