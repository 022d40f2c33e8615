/** What a `millrace-memory-retrieve` node does: it finds passages of documents, or makes a prompt of them. */
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import { embedderOf } from './embedding'
import { Rag, type RetrieveOptions } from './lib'
import type { retrieveConfig } from './retrieve.config'
import { reader } from './typed'

interface Given {
  namespace: string
  question: string
}

export function retrieving(host: Host<(typeof retrieveConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const query = reader(RED, node, config.query, config.queryType)
  const by = embedderOf(host, config.embedder)
  const { mode, topK, diversity, filter, output, budget, instructions } = config
  const options: RetrieveOptions = { mode, topK, diversity, ...(filter && { filter }) }
  const told = instructions.trim() === '' ? {} : { instructions }

  return {
    async read(message) {
      return { namespace: nameOf(await namespace(message)), question: (await query(message)) as string }
    },

    async run(db, { namespace, question }) {
      const rag = new Rag(db, { namespace, ...by })
      if (output === 'passages') return { payload: await rag.retrieve(question, options) }
      const { text, citations } = await rag.prompt(question, { ...options, budget, ...told })
      return { payload: text, citations }
    },
  }
}
