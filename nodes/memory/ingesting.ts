/** What a `millrace-memory-ingest` node does: it keeps documents in chunks, removes them, or lists them. */
import { EngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import { embedderOf } from './embedding'
import type { ingestConfig } from './ingest.config'
import { type Document, Rag } from './lib'
import { reader } from './typed'

interface Given {
  namespace: string
  source: string
  document: Document
}

export function ingesting(host: Host<(typeof ingestConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const { operation, format, size, overlap } = config
  if (overlap > size / 2) throw new EngineError('INVALID_OPTION', host.text('failure.overlap', { size, overlap }))
  const namespace = reader(RED, node, config.namespace, config.namespaceType)
  const source = reader(RED, node, config.source, config.sourceType)
  const text = reader(RED, node, config.text, config.textType)
  const by = embedderOf(host, config.embedder)

  return {
    async read(message) {
      const named = operation === 'sources' ? '' : nameOf(await source(message))
      const document: Document = { source: named, text: '' }
      if (operation === 'ingest') {
        document.text = (await text(message)) as string | Buffer
        if (format !== 'auto') document.format = format
        const { title, metadata } = message
        if (typeof title === 'string') document.title = title
        if (metadata !== undefined) document.metadata = metadata as Record<string, unknown>
      }
      return { namespace: nameOf(await namespace(message)), source: named, document }
    },

    async run(db, { namespace, source, document }) {
      const rag = new Rag(db, { namespace, size, overlap, ...by })
      if (operation === 'sources') return { payload: await rag.sources() }
      if (operation === 'remove') return { memory: { namespace, source, removed: await rag.remove(source) } }
      return { memory: { namespace, ...(await rag.ingest(document)) } }
    },
  }
}
