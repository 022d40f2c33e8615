/** What a `millrace-memory-search` node does: it finds what is near by meaning, with the documents. */
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import { embedderOf } from './embedding'
import type { Embeddable, SearchOptions } from './lib'
import type { searchConfig } from './search.config'
import { blank, reader } from './typed'

/** As much as does well with the built-in embedder. */
const WORDS = 0.5

interface Given {
  namespace: string
  query: Embeddable
  asOf?: Date | number | string
}

export function searching(host: Host<(typeof searchConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const query = reader(RED, node, config.query, config.queryType)
  const time = reader(RED, node, config.time, config.timeType)
  const { topK, threshold, words, filter, documents } = config
  const options: SearchOptions = {
    topK,
    ...embedderOf(host, config.embedder),
    ...(words && { words: WORDS }),
    ...(threshold !== null && { threshold }),
    ...(filter && { filter }),
    ...(documents && { documents }),
  }

  return {
    async read(message) {
      const asOf = await time(message)
      return {
        namespace: nameOf(await namespace(message)),
        query: (await query(message)) as Embeddable,
        ...(!blank(asOf) && { asOf: asOf as number }),
      }
    },

    async run(db, { namespace, query, asOf }) {
      const then = asOf !== undefined
      const hits = await db.search(namespace, query, { ...options, ...(then && { asOf }) })
      const values = await db.getMany(
        namespace,
        hits.map(({ key }) => key),
        then ? { at: asOf } : {},
      )
      // A vector need not have a document.
      const payload = hits.map((hit, place) => ({ ...hit, value: values[place] ?? null }))
      return { payload, exact: hits.exact }
    },
  }
}
