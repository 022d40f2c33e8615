/** Vectors of documents. Each is a document itself, in a namespace beside its document's. */
import { types } from 'node:util'
import { EngineError, quote } from '../../shared/errors'
import { mayHaveHalves, refuseHalves, toJson } from '../../shared/json'
import { checkOptions, type Known } from '../../shared/options'
import { checkFilter, checkOptionalText, checkWhole } from './checks'
import type { Operation, Version, Written } from './database'
import { BuiltInEmbedder } from './embedder'
import { milliseconds } from './moments'

/** Makes vectors of texts. */
export interface Embedder {
  /** Stored with the vectors: those of different models cannot be compared. */
  readonly model: string
  /** Components a vector, where that is known before the first one. */
  readonly dimensions: number | undefined
  /** Lying one after the other. */
  embed(texts: string[]): Promise<Float32Array>
}

/** A text, a vector, or the bytes of one: floats of 32 bits, little-endian. */
export type Embeddable = string | Float32Array | readonly number[] | Buffer

export interface EmbedOptions {
  /** Of texts; the built-in one where it is left out. */
  embedder?: Embedder
  /** Of a vector: what made it. */
  model?: string
  ttlMs?: number
}

export interface SearchOptions extends Omit<EmbedOptions, 'ttlMs'> {
  /** So many, wherever there are so many; 10 by default. */
  topK?: number
  /** `cosine` by default. For `l2` a smaller score is nearer. */
  metric?: 'cosine' | 'dot' | 'l2'
  /** Only scores at least so good. */
  threshold?: number
  /** Keys that begin so. */
  prefix?: string
  /** What must hold for the metadata, as in a query. */
  filter?: Record<string, unknown>
  /** What must hold for the document of the same key. */
  documents?: Record<string, unknown>
  /**
   * How much the words of the text count beside its meaning, for texts that were embedded as texts: 0.5 does well for the
   * built-in embedder. Nothing without it. The scores are of another kind then, and have no threshold.
   */
  words?: number
  /** The text whose words are looked for, where a vector is given. */
  text?: string
  /** As it was at a time: all are compared one by one. */
  asOf?: Date | number | string
}

export interface SearchHit {
  key: string
  score: number
  metadata: unknown
  /** With words: how near the vector alone is. */
  near?: number
  /** With words: how well the words fit; 1 for the best. */
  words?: number
}

/** The nearest first. */
export interface SearchHits extends Array<SearchHit> {
  /** All were compared one by one; else a graph found them, or words and vectors together. */
  readonly exact: boolean
}

/** What the vectors of a namespace are. */
export interface EmbeddingInfo {
  dimensions: number
  model: string
  vectors: number
  /** A search without a filter compares one by one; else a graph finds them. */
  exact: boolean
}

interface Database {
  nearest(question: object, vector: Float32Array): Promise<{ hits: SearchHit[]; exact: boolean }>
  what(namespace: string): Promise<EmbeddingInfo | null>
  /** `about` is JSON. */
  keep(about: string, vector: Float32Array): Promise<Version>
  write(operations: Operation[]): Promise<Written[]>
}

const EMBED: Known<EmbedOptions> = { embedder: 'any', model: 'any', ttlMs: 'any' }
const SEARCH: Known<SearchOptions> = {
  ...{ embedder: 'any', model: 'any', topK: 'any', metric: ['cosine', 'dot', 'l2'], threshold: 'any', prefix: 'any' },
  ...{ filter: 'any', documents: 'any', words: 'any', text: 'any', asOf: 'any' },
}

interface Made {
  vector: Float32Array
  model: string | undefined
}

type Kind = Pick<EmbeddingInfo, 'dimensions' | 'model'>

export class Embeddings {
  /** Of which kind the vectors of a namespace are, as far as was asked. */
  private readonly kinds = new Map<string, Kind>()

  /** By document: what was asked for last, and all before it. */
  private readonly turns = new Map<string, Promise<unknown>>()

  private readonly asked = new Map<string, Promise<EmbeddingInfo | null>>()

  constructor(private readonly db: Database) {}

  async put(
    namespace: string,
    key: string,
    given: Embeddable,
    metadata: unknown,
    options: EmbedOptions,
  ): Promise<Version> {
    checkOptions('embed', options, EMBED)
    checkMaker(options)
    const text = typeof given === 'string' ? given : undefined
    return this.inTurn(namespace, key, make(given, options), (made) =>
      this.write(namespace, key, made, metadata, text, options),
    )
  }

  private async write(
    namespace: string,
    key: string,
    { vector, model = '' }: Made,
    metadata: unknown,
    text: string | undefined,
    { ttlMs }: EmbedOptions,
  ): Promise<Version> {
    const kind = { dimensions: vector.length, model }
    await this.agree(namespace, kind)
    const asked = {
      ...{ namespace, key, model },
      ...(text !== undefined && { text }),
      ...(metadata !== undefined && { metadata }),
      ...(ttlMs !== undefined && { ttlMs }),
    }
    const about = toJson(asked, 'vector')
    if (mayHaveHalves(about)) refuseHalves({ text, metadata }, 'vector')
    try {
      return await this.db.keep(about, vector)
    } catch (error) {
      this.kinds.delete(namespace)
      throw error
    }
  }

  async search(namespace: string, given: Embeddable, options: SearchOptions): Promise<SearchHits> {
    checkOptions('search', options, SEARCH)
    checkMaker(options)
    const { embedder, model: _, topK = 10, words: weight = 0, text, asOf, ...rest } = options
    checkWhole('topK', topK)
    checkOptionalText('text', text)
    checkFilter('filter', rest.filter)
    checkFilter('documents', rest.documents)
    const said = text ?? given
    if (weight !== 0 && typeof said !== 'string') {
      throw new EngineError('INVALID_OPTION', `words is ${quote(weight)} beside a vector; give the text, too`)
    }
    const { vector, model } = await make(given, options)
    const question = {
      ...{ namespace, topK, ...rest },
      ...(model !== undefined && { model }),
      ...(weight !== 0 && { words: { text: said, weight } }),
      ...(asOf !== undefined && { asOf: milliseconds('asOf', asOf) }),
    }
    const { hits, exact } = await this.db.nearest(question, vector)
    // No item of the list, and nothing that its JSON has.
    return Object.defineProperty(hits, 'exact', { value: exact }) as SearchHits
  }

  async remove(namespace: string, key: string): Promise<Written> {
    return this.inTurn(namespace, key, undefined, async () => {
      const [removed = null] = await this.db.write([{ namespace: beside(namespace), key }])
      this.kinds.delete(namespace)
      return removed
    })
  }

  /** Changes of a document are written in the order of the calls, however long each vector takes to make. */
  private inTurn<Ready, Done>(
    namespace: string,
    key: string,
    ready: Promise<Ready> | Ready,
    work: (ready: Ready) => Promise<Done>,
  ): Promise<Done> {
    const name = `${namespace}\0${key}`
    const before = this.turns.get(name)
    const mine = Promise.all([ready, before]).then(([ready]) => work(ready))
    const settled = Promise.allSettled([mine, before])
    this.turns.set(name, settled)
    void settled.then(() => {
      if (this.turns.get(name) === settled) this.turns.delete(name)
    })
    return mine
  }

  /** Who asks at the same time goes on in the order of the calls, so that the first is the first. */
  private what(namespace: string): Promise<EmbeddingInfo | null> {
    const asked = this.asked.get(namespace) ?? this.db.what(namespace).finally(() => this.asked.delete(namespace))
    this.asked.set(namespace, asked)
    return asked
  }

  /** The first vector of a namespace says of which kind all are. */
  private async agree(namespace: string, kind: Kind): Promise<void> {
    let known = this.kinds.get(namespace)
    if (!known || !same(known, kind)) {
      const asked = await this.what(namespace)
      // Meanwhile another one may have been the first.
      known = asked ?? (known && same(known, kind) ? known : (this.kinds.get(namespace) ?? kind))
      this.kinds.set(namespace, known)
    }
    if (same(known, kind)) return
    const name = (it: Kind) => `${it.dimensions} components of ${it.model ? `model '${it.model}'` : 'no named model'}`
    throw new EngineError(
      'INVALID_INPUT',
      `the vector has ${name(kind)}, and those in ${quote(namespace)} have ${name(known)}; use one model for all`,
    )
  }
}

/** The namespace of the vectors of a namespace's documents. */
export function beside(namespace: string): string {
  return `${namespace}#vectors`
}

/** A vector as a document, for a batch in which there are others. */
export function embeddingOf(vector: Float32Array, model: string, metadata: unknown): Record<string, unknown> {
  return { model, vector: base64(vector), metadata }
}

/** The vector that a document holds. */
export function vectorOf(value: { vector: string }): Float32Array {
  return floats(Buffer.from(value.vector, 'base64'))
}

function same(one: Kind, other: Kind): boolean {
  return one.dimensions === other.dimensions && one.model === other.model
}

/** A vector of its own: what was given may change meanwhile. */
async function make(given: Embeddable, { embedder, model }: EmbedOptions): Promise<Made> {
  if (typeof given === 'string') {
    const by = embedder ?? (await BuiltInEmbedder.open())
    return { vector: await embedBy(by, [given]), model: by.model }
  }
  if (Buffer.isBuffer(given)) return { vector: checked(floats(given)), model }
  if (given instanceof Float32Array) return { vector: checked(given.slice()), model }
  if (!Array.isArray(given)) {
    throw new EngineError('INVALID_INPUT', `${quote(given)} is neither a text nor a vector; give numbers, or a text`)
  }
  const numbers = (given as unknown[]).map((component) => (typeof component === 'number' ? component : Number.NaN))
  return { vector: checked(Float32Array.from(numbers)), model }
}

function checkMaker({ embedder, model }: EmbedOptions): void {
  checkEmbedder(embedder)
  checkOptionalText('model', model)
}

/** Refuses what can make no vectors; nothing stands for the built-in one. */
export function checkEmbedder(embedder: Embedder | undefined): void {
  if (embedder === undefined || embedder === null) return
  const { model, dimensions, embed } = embedder
  const must = (name: string, value: unknown, what: string) =>
    new EngineError('INVALID_OPTION', `the embedder's ${name} is ${quote(value)}; it must be ${what}`)
  if (typeof embed !== 'function') throw must('embed', embed, 'a function that makes vectors of texts')
  if (typeof model !== 'string' || model === '') throw must('model', model, 'a text that names what makes the vectors')
  if (dimensions === undefined || (Number.isInteger(dimensions) && dimensions > 0)) return
  throw must('dimensions', dimensions, 'a whole number from 1, or undefined')
}

/** The vectors of texts, lying one after the other: whoever made them, they can be stored and compared. */
export async function embedBy(embedder: Embedder, texts: string[]): Promise<Float32Array> {
  checkEmbedder(embedder)
  const vectors: unknown = await embedder.embed(texts)
  const odd = (problem: string) =>
    new EngineError('CONVERSION', `what the embedder ${quote(embedder.model)} makes cannot be used: ${problem}`)
  // One of another context, as that of a function node, is one, too.
  if (!types.isFloat32Array(vectors)) throw odd(`it is ${quote(vectors)}; it must be a Float32Array`)
  const dimensions = embedder.dimensions ?? vectors.length / texts.length
  if (!Number.isInteger(dimensions) || vectors.length !== dimensions * texts.length) {
    const each = embedder.dimensions === undefined ? 'as many for each' : `${dimensions} for each`
    throw odd(`it has ${vectors.length} components for ${texts.length} texts; it must have ${each}`)
  }
  for (const place of texts.keys()) {
    try {
      checked(vectors.subarray(place * dimensions, (place + 1) * dimensions))
    } catch (cause) {
      throw odd(`of text ${place}, ${(cause as Error).message}`)
    }
  }
  return vectors
}

export function checked(vector: Float32Array): Float32Array {
  let isZero = true
  for (let place = 0; place < vector.length; place += 1) {
    const component = vector[place] as number
    if (component !== 0) isZero = false
    if (Number.isFinite(component)) continue
    throw new EngineError('INVALID_INPUT', `component ${place} of the vector is ${component}; give finite numbers`)
  }
  if (isZero) throw new EngineError('INVALID_INPUT', 'the vector is empty or all zeros, which cannot be compared')
  return vector
}

function floats(bytes: Buffer): Float32Array {
  if (bytes.length % 4 !== 0) {
    throw new EngineError('INVALID_INPUT', `${bytes.length} bytes are no vector; each component has 4 of them`)
  }
  const whole = new Uint8Array(bytes)
  return new Float32Array(whole.buffer)
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
