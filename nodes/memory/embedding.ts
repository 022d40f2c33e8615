/** The library's embedder behind a config node. */
import { EngineError } from '../shared/errors'
import type { TlsOptions } from '../shared/network'
import { type Host, stateOf } from '../shared/node'
import type { EmbedderConfig } from './embedder.config'
import { type Embedder, RemoteEmbedder, type RemoteOptions } from './lib'

/** What a test found, or why it failed. */
export type Tested = Found | { code: string; message: string }

interface Found {
  model: string
  dimensions: number
  ms: number
}

/** So long a test waits at most: somebody looks at it. */
const TEST_MS = 15_000

export class EmbedderHost {
  readonly embedder: RemoteEmbedder
  /** With the key: it is not to be seen where this is printed. */
  readonly #options: RemoteOptions

  constructor(config: EmbedderConfig, apiKey: string, tls?: TlsOptions) {
    const { url, model, dimensions, batch, timeoutMs, retries, cache } = config
    const rest = { ...(dimensions !== null && { dimensions }), ...(apiKey !== '' && { apiKey }), ...(tls && { tls }) }
    this.#options = { url, model, batch, timeoutMs, retries, cache, ...rest }
    this.embedder = new RemoteEmbedder(this.#options)
  }

  /** Asks for a vector, once. */
  async test(): Promise<Found> {
    const timeoutMs = Math.min(TEST_MS, this.#options.timeoutMs ?? TEST_MS)
    const trial = new RemoteEmbedder({ ...this.#options, retries: 0, timeoutMs })
    const start = performance.now()
    try {
      const vector = await trial.embed(['test'])
      return { model: trial.model, dimensions: vector.length, ms: Math.round(performance.now() - start) }
    } finally {
      trial.close()
    }
  }

  close(): void {
    this.embedder.close()
  }
}

/** The embedder of a node that names one; nothing, which means the built-in one, where it names none. */
export function embedderOf(host: Pick<Host<never>, 'RED' | 'text'>, id: string): { embedder?: Embedder } {
  if (id === '') return {}
  const embedder = stateOf<unknown>(host.RED, id)
  if (!(embedder instanceof EmbedderHost)) throw new EngineError('INVALID_OPTION', host.text('failure.embedder'))
  return { embedder: embedder.embedder }
}
