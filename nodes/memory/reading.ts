/** What a `millrace-memory-read` node does: it asks for documents, for what they were, and for what there is. */
import { EngineError, quote } from '../shared/errors'
import type { Host, Message } from '../shared/node'
import { type Job, nameOf } from './clerk'
import type { StoreHost } from './host'
import type { Database, Moment, Query } from './lib'
import { type Input, inputs, type ReadConfig, type readConfig } from './read.config'
import { blank, type Read, reader } from './typed'

type Operation = ReadConfig['operation']
type Given = Record<Input | 'after', unknown>
type Answer = Promise<Record<string, unknown>>

/** Without a limit a list is whole, where the engine would begin a page. */
const MOST = 1_000_000

export function reading({ RED, node, config }: Host<(typeof readConfig)['fields']>): Job<Given> {
  const { operation } = config
  const limit = config.limit === null ? {} : { limit: config.limit }
  const reads = inputs[operation].map((input): [Input, Read] => [
    input,
    reader(RED, node, config[input], config[`${input}Type` as `${Input}Type`]),
  ])

  async function list(db: Database, given: Given): Answer {
    const { namespace, key, after } = given
    const options = { limit: config.limit ?? MOST, ...(blank(key) ? {} : { prefix: nameOf(key) }), ...pageOf(after) }
    if (blank(namespace)) {
      const { namespaces, next } = await db.namespaces(options)
      return { payload: namespaces, next }
    }
    let { keys, next } = await db.keys(nameOf(namespace), options)
    // The engine looks at so many at a stretch.
    while (config.limit === null && next !== null && keys.length < MOST) {
      const more = await db.keys(nameOf(namespace), { ...options, after: next })
      keys = keys.concat(more.keys)
      next = more.next
    }
    return { payload: keys, next }
  }

  const answers: Record<Operation, (db: Database, given: Given, store: StoreHost) => Answer> = {
    get: async (db, { namespace, key }) => ({ payload: await db.get(nameOf(namespace), nameOf(key)) }),
    at: async (db, { namespace, key, time }) => ({
      payload: await db.getAt(nameOf(namespace), nameOf(key), time as Moment),
    }),
    history: async (db, { namespace, key }) => ({ payload: await db.history(nameOf(namespace), nameOf(key), limit) }),
    diff: async (db, { namespace, key, time, to }) => ({
      payload: await db.diff(nameOf(namespace), nameOf(key), time as Moment, blank(to) ? undefined : (to as Moment)),
    }),
    list,
    async query(db, { namespace, query, after }) {
      const { rows, next, plan } = await db.query(nameOf(namespace), { ...objectOf(query), ...pageOf(after) })
      return { payload: rows, next, plan }
    },
    async backup(db, { folder }, store) {
      if (typeof folder !== 'string' || folder === '') {
        throw new EngineError('INVALID_INPUT', `the folder is ${quote(folder)}; give a text that names a new one`)
      }
      const path = store.below(folder)
      return { payload: { path, ...(await db.backup(path)) } }
    },
  }

  return {
    async read(message: Message) {
      const given: Partial<Given> = { after: message.after }
      for (const [input, read] of reads) given[input] = await read(message)
      return given as Given
    },

    run(db, given, store) {
      return answers[operation](db, given, store)
    },
  }
}

function pageOf(after: unknown): { after?: string } {
  return typeof after === 'string' ? { after } : {}
}

function objectOf(query: unknown): Query {
  if (query === undefined) return {}
  if (query !== null && typeof query === 'object' && !Array.isArray(query)) return query
  throw new EngineError('INVALID_INPUT', `the query is ${quote(query)}; it must be an object, such as {"limit": 10}`)
}
