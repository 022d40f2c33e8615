/** Vectors from a server that speaks OpenAI's protocol: OpenAI, Ollama, vLLM, llama.cpp and others. */
import * as http from 'node:http'
import * as https from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import { EngineError, quote } from '../../shared/errors'
import { backoff, checkTls, networkFault, retryAfter, type TlsOptions } from '../../shared/network'
import { checkOptions, type Known } from '../../shared/options'
import { checkWhole } from './checks'
import { checked, type Embedder } from './embeddings'

export interface RemoteOptions {
  /** Of the API, `http://localhost:11434/v1`; `/embeddings` is added where it is missing. */
  url: string
  model: string
  apiKey?: string
  /** Authorities of your own, a certificate of the client, whether the server's is checked: as Node.js takes them. */
  tls?: TlsOptions
  /** Asked of the server, and wanted of each answer; without it the first answer says how many all have. */
  dimensions?: number
  /** Texts a request; 64 by default. */
  batch?: number
  /** For each try; 30 s by default. */
  timeoutMs?: number
  /** Tries after the first; 3 by default. */
  retries?: number
  /** So many vectors are remembered; 1000 by default. */
  cache?: number
}

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  text: string
}

const REMOTE: Known<RemoteOptions> = {
  ...{ url: 'any', model: 'any', apiKey: 'any', tls: 'any', dimensions: 'any' },
  ...{ batch: 'any', timeoutMs: 'any', retries: 'any', cache: 'any' },
}

const LATER = new Set([408, 425, 429])
const FIRST_MS = 200
const LONGEST_MS = 30_000
/** A timer cannot wait longer. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1
/** No server is waited for longer. */
const RETRY_AFTER_MAX_MS = 120_000
/** So many requests are on the way at once: a burst of messages does not press a server down. */
const REQUESTS = 8
/** An answer has no more bytes. */
const ANSWER_MAX = 128 << 20

/** A failure after which the next try waits so long. */
class Later extends EngineError {
  constructor(
    code: 'TRANSPORT' | 'TIMEOUT',
    message: string,
    readonly waitMs: number,
    cause?: unknown,
  ) {
    super(code, message, { cause })
  }
}

/**
 * ```ts
 * const embedder = memory.embedder({ url: 'http://localhost:11434/v1', model: 'nomic-embed-text' })
 * await db.embed('notes', 'pump', 'The pump leaks oil', null, { embedder })
 * ```
 */
export function embedder(options: RemoteOptions): RemoteEmbedder {
  return new RemoteEmbedder(options)
}

export class RemoteEmbedder implements Embedder {
  readonly model: string
  private readonly url: URL
  /** With the key of the client's certificate: neither is to be seen where this is printed. */
  readonly #agent: http.Agent
  readonly #apiKey: string
  /** Asked of the server. */
  private readonly asked: number | undefined
  private readonly batch: number
  private readonly timeoutMs: number
  private readonly retries: number
  private readonly cacheMax: number
  private readonly cache = new Map<string, Float32Array>()
  private length: number | undefined
  private running = 0
  private readonly waiting: (() => void)[] = []

  constructor(options: RemoteOptions) {
    checkOptions('an embedder', options, REMOTE)
    const {
      url,
      model,
      apiKey,
      tls = {},
      dimensions,
      batch = 64,
      timeoutMs = 30_000,
      retries = 3,
      cache = 1000,
    } = options
    this.url = urlOf(url)
    if (typeof model !== 'string' || model === '') {
      throw new EngineError('INVALID_OPTION', `the model is ${quote(model)}; name one that the server has`)
    }
    checkKey(apiKey)
    checkTls(tls)
    const pool = { keepAlive: true }
    this.#agent = this.url.protocol === 'https:' ? new https.Agent({ ...pool, ...tls }) : new http.Agent(pool)
    this.#apiKey = apiKey?.trim() ?? ''
    this.model = model
    this.batch = checkWhole('batch', batch, 1)
    this.timeoutMs = checkWhole('timeoutMs', timeoutMs, 1, TIMEOUT_MAX_MS)
    this.retries = checkWhole('retries', retries, 0)
    this.cacheMax = checkWhole('cache', cache, 0)
    this.asked = dimensions === undefined ? undefined : checkWhole('dimensions', dimensions, 1)
    this.length = this.asked
  }

  get dimensions(): number | undefined {
    return this.length
  }

  /** Equal texts are asked for once. */
  async embed(texts: string[]): Promise<Float32Array> {
    const empty = texts.findIndex((text) => typeof text !== 'string' || text.trim() === '')
    if (empty >= 0) {
      throw new EngineError('INVALID_INPUT', `text ${empty} is ${quote(texts[empty])}, of which no vector can be made`)
    }
    const found = new Map<string, Float32Array>()
    for (const text of texts) {
      const cached = this.cache.get(text)
      if (cached) found.set(text, cached)
    }
    const missing = [...new Set(texts)].filter((text) => !found.has(text))
    for (let from = 0; from < missing.length; from += this.batch) {
      const some = missing.slice(from, from + this.batch)
      const vectors = await this.ask(some)
      for (const [place, text] of some.entries()) found.set(text, vectors[place] as Float32Array)
    }
    for (const text of texts) this.remember(text, found.get(text) as Float32Array)
    const all = new Float32Array(texts.length * (this.length ?? 0))
    for (const [place, text] of texts.entries()) {
      all.set(found.get(text) as Float32Array, place * (this.length as number))
    }
    return all
  }

  /** Gives up connections that are kept. */
  close(): void {
    this.#agent.destroy()
  }

  /** The longest unused goes first. */
  private remember(text: string, vector: Float32Array): void {
    this.cache.delete(text)
    this.cache.set(text, vector)
    if (this.cache.size > this.cacheMax) this.cache.delete(this.cache.keys().next().value as string)
  }

  private async ask(texts: string[]): Promise<Float32Array[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.inTurn(() => this.request(texts))
      } catch (error) {
        if (!(error instanceof Later) || attempt > this.retries) throw error
        await wait(Math.max(Math.min(error.waitMs, RETRY_AFTER_MAX_MS), backoff(attempt, FIRST_MS, LONGEST_MS)))
      }
    }
  }

  /** The time of who waits does not run yet. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (this.running >= REQUESTS) await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.running += 1
    try {
      return await work()
    } finally {
      this.running -= 1
      this.waiting.shift()?.()
    }
  }

  private async request(texts: string[]): Promise<Float32Array[]> {
    const signal = AbortSignal.timeout(this.timeoutMs)
    const body = JSON.stringify({
      model: this.model,
      input: texts,
      encoding_format: 'float',
      ...(this.asked !== undefined && { dimensions: this.asked }),
    })
    const host = quote(this.url.host)
    try {
      const answer = await this.post(body, signal)
      this.judge(answer)
      return this.read(answer.text, texts.length)
    } catch (error) {
      if (error instanceof EngineError) throw error
      if (signal.aborted) {
        throw new Later('TIMEOUT', `${host} does not answer within ${this.timeoutMs} ms; allow more time`, 0, error)
      }
      const { fault, what } = networkFault(error)
      // A certificate is as wrong with the next try.
      if (fault === 'tls') throw new EngineError('TRANSPORT', `${host}: ${what}`, { cause: error })
      throw new Later('TRANSPORT', `${host}: ${what}`, 0, error)
    }
  }

  private post(body: string, signal: AbortSignal): Promise<Answer> {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(this.#apiKey && { authorization: `Bearer ${this.#apiKey}` }),
    }
    const { request } = this.url.protocol === 'https:' ? https : http
    return new Promise<Answer>((resolve, reject) => {
      const asked = request(this.url, { method: 'POST', agent: this.#agent, headers, signal }, (response) => {
        const { statusCode: status = 0, headers } = response
        textOf(response, quote(this.url.host)).then((text) => resolve({ status, headers, text }), reject)
      })
      asked.on('error', reject)
      asked.end(body)
    })
  }

  private judge({ status, headers, text }: Answer): void {
    if (status >= 200 && status < 300) return
    // Some repeat the key.
    const said = this.withoutKey(saidBy(text)).slice(0, 200)
    const what = `${quote(this.url.host)} answers with ${status}${said ? `: ${said}` : ''}`
    if (LATER.has(status) || status >= 500) throw new Later('TRANSPORT', what, retryAfter(headers['retry-after']))
    const way =
      status === 401 || status === 403
        ? 'see the API key'
        : status === 404
          ? `see whether it has the model ${quote(this.model)}, and the address ${quote(this.url.href)}`
          : 'see the address, the model, and how long a text may be for it'
    throw new EngineError('REFUSED', `${what}; ${way}`)
  }

  private read(text: string, count: number): Float32Array[] {
    const { data } = parse(text) as { data?: unknown }
    if (!Array.isArray(data) || data.length !== count) {
      throw this.odd(`it has ${Array.isArray(data) ? data.length : 'no'} vectors for ${count} texts`)
    }
    const vectors: Float32Array[] = []
    for (const [place, row] of data.entries()) {
      const { index = place, embedding } = (row ?? {}) as { index?: unknown; embedding?: unknown }
      const isPlace = Number.isInteger(index) && (index as number) >= 0 && (index as number) < count
      if (!isPlace || vectors[index as number]) throw this.odd(`${this.quoted(index)} is not the place of a text`)
      vectors[index as number] = this.vector(embedding)
    }
    const length = this.length ?? (vectors[0] as Float32Array).length
    for (const vector of vectors) {
      if (vector.length !== length) {
        throw this.odd(`a vector has ${vector.length} components, where ${length} are wanted`)
      }
    }
    // Only what is right as a whole says of how many components all are.
    this.length = length
    return vectors
  }

  private vector(given: unknown): Float32Array {
    // Some servers have base64 whatever they are asked for.
    const bytes = typeof given === 'string' ? new Uint8Array(Buffer.from(given, 'base64')) : null
    if (bytes ? bytes.length % 4 !== 0 : !Array.isArray(given)) throw this.odd(`a vector is ${this.quoted(given)}`)
    const vector = bytes ? new Float32Array(bytes.buffer) : Float32Array.from(given as unknown[], componentOf)
    try {
      return checked(vector)
    } catch (cause) {
      throw this.odd((cause as Error).message)
    }
  }

  /** Something of the server's. The key goes first: of what is cut, a part would stay. */
  private quoted(given: unknown): string {
    return typeof given === 'string' ? quote(this.withoutKey(given)) : this.withoutKey(quote(given))
  }

  private withoutKey(text: string): string {
    return this.#apiKey ? text.replaceAll(this.#apiKey, '***') : text
  }

  private odd(problem: string): EngineError {
    const text = `the answer of ${quote(this.url.host)} for the model ${quote(this.model)} cannot be used: ${problem}`
    return new EngineError('CONVERSION', `${text}; see that it is a model for embeddings, and its dimensions`)
  }
}

function componentOf(component: unknown): number {
  return typeof component === 'number' ? component : Number.NaN
}

function urlOf(given: string): URL {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : null
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new EngineError('INVALID_OPTION', `the address is ${quote(given)}; it must begin with http:// or https://`)
  }
  if (url.username || url.password) {
    throw new EngineError('INVALID_OPTION', 'the address has a name or a password in it; use the API key')
  }
  if (!/\/embeddings\/?$/.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/$/, '')}/embeddings`
  return url
}

function checkKey(key: string | undefined): void {
  if (key !== undefined && key !== null && key !== '' && !(typeof key === 'string' && /^[\x20-\x7e]+$/.test(key))) {
    throw new EngineError('INVALID_OPTION', 'the API key has signs that no key has; see that it was copied whole')
  }
}

async function textOf(response: http.IncomingMessage, host: string): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response) {
    parts.push(part)
    length += part.length
    if (length > ANSWER_MAX)
      throw new EngineError('TOO_LARGE', `the answer of ${host} is larger than ${ANSWER_MAX} bytes`)
  }
  return Buffer.concat(parts).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}

/** Servers tell their errors in JSON, each in its own way. */
function saidBy(text: string): string {
  const { error, message, detail } = parse(text) as { error?: unknown; message?: unknown; detail?: unknown }
  const inner = (error as { message?: unknown } | undefined)?.message
  const said = [inner, error, message, detail, text].find((it) => typeof it === 'string') as string
  return said.trim()
}
