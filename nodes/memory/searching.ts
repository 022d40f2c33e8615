/** What a `millrace-memory-search` node does: it finds what is near by meaning, with the documents. */
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import type { Embeddable, SearchOptions } from './lib'
import type { searchConfig } from './search.config'
import { reader } from './typed'

/** As much as does well with the built-in embedder. */
const WORDS = 0.5

interface Given {
  namespace: string
  query: Embeddable
}

export function searching({ RED, node, config }: Host<(typeof searchConfig)['fields']>): Job<Given> {
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const query = reader(RED, node, config.query, config.queryType)
  const { topK, threshold, words, filter, documents } = config
  const options: SearchOptions = {
    topK,
    ...(words && { words: WORDS }),
    ...(threshold !== null && { threshold }),
    ...(filter && { filter }),
    ...(documents && { documents }),
  }

  return {
    async read(message) {
      return { namespace: nameOf(await namespace(message)), query: (await query(message)) as Embeddable }
    },

    async run(db, { namespace, query }) {
      const hits = await db.search(namespace, query, options)
      const values = await db.getMany(
        namespace,
        hits.map(({ key }) => key),
      )
      // A vector need not have a document.
      return { payload: hits.map((hit, place) => ({ ...hit, value: values[place] ?? null })) }
    },
  }
}
