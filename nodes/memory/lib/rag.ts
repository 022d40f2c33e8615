/** Documents for retrieval: kept in chunks with their vectors, found by meaning and words, told with where they stand. */
import { createHash } from 'node:crypto'
import { extname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { EngineError, quote } from '../../shared/errors'
import { checked, toJson } from '../../shared/json'
import { checkOptions, type Known } from '../../shared/options'
import { checkDatabase, checkFilter, checkName, checkOptionalText, checkWhole } from './checks'
import type { Database, Operation } from './database'
import { BuiltInEmbedder, type Chunk, type ChunkOptions, type Format } from './embedder'
import { beside, checkEmbedder, type Embedder, embedBy, embeddingOf, vectorOf } from './embeddings'
import { isPdf, pdfText } from './pdf'

/** What is ingested. */
export interface Document {
  /** What it is called: a path, an address, a number. The same again replaces it. */
  source: string
  /** Or the bytes of its file. */
  text: string | Uint8Array
  /**
   * By the end of the source's name where it is left out: `.md`, `.markdown`, `.htm`, `.html`, else text; bytes of a PDF are one.
   * A PDF is read by the package `unpdf`, which has to be installed.
   */
  format?: Format | 'pdf'
  /** As the document calls itself where it is left out. */
  title?: string
  /** For filters, and told with each passage. */
  metadata?: Record<string, unknown>
}

export interface RagOptions {
  /** The built-in one by default. */
  embedder?: Embedder
  /** `documents` by default. */
  namespace?: string
  /** Tokens a chunk has at most, as the built-in embedder counts; 512 by default. */
  size?: number
  /** Tokens that a chunk shares with the one before, at most; 128 by default. */
  overlap?: number
}

/** What an ingestion did, in chunks. */
export interface Ingested {
  source: string
  chunks: number
  added: number
  /** Were there before, perhaps elsewhere in the document. */
  kept: number
  removed: number
}

/** A document that is there. */
export interface Source {
  source: string
  title: string | null
  format: Format | 'pdf'
  chunks: number
  /** The model of its vectors. */
  model: string
  metadata: Record<string, unknown>
  /** When it was ingested as it is, in milliseconds. */
  time: number
}

export interface RetrieveOptions {
  /** By meaning, by words, or by both, which is the default. */
  mode?: 'hybrid' | 'vector' | 'words'
  /** 5 by default. */
  topK?: number
  /** How much passages must differ from each other: 0, the default, to 1. */
  diversity?: number
  /** What must hold for the metadata; `source` is among them. */
  filter?: Record<string, unknown>
}

/** A chunk that fits a question, and where it stands: `document.slice(start, end)`. */
export interface Passage extends Chunk {
  key: string
  source: string
  title: string | null
  /** Its place among the chunks of the document, from 0. */
  part: number
  /** Of a PDF, from 1. `line` is one of this page, and the document is the text of all pages, a line break between two. */
  page?: number
  metadata: Record<string, unknown>
  /** By meaning the likeness, by words what BM25 gives, by both the sum of `1 / (60 + rank)`. */
  score: number
  why: { similarity: number | null; words: number | null }
  /** For people: source, headings, page and line. */
  citation: string
}

export interface PromptOptions extends RetrieveOptions {
  /** Tokens of the whole prompt, as the built-in embedder counts; 2000 by default. */
  budget?: number
  /** What the model is told first. */
  instructions?: string
}

export interface Prompt {
  text: string
  tokens: number
  /** The passages in it; `[1]` is the first. */
  citations: Passage[]
}

/** A chunk as it is kept. */
type Kept = Omit<Chunk, 'tokens'> & {
  source: string
  part: number
  page?: number
  tokens: number
  title?: string
  metadata?: Record<string, unknown>
}

interface Entry {
  hash: string
  title: string | null
  format: Format | 'pdf'
  model: string
  keys: string[]
  metadata?: Record<string, unknown>
  time: number
}

/** A document as it is cut. */
interface Readable {
  text: string
  format: Format | 'pdf'
  title: string | null
  /** Where each page begins. */
  pages: number[]
}

type Placed = Chunk & { page?: number }

const RAG: Known<RagOptions> = { embedder: 'any', namespace: 'any', size: 'any', overlap: 'any' }
const DOCUMENT: Known<Document> = {
  ...{ source: 'any', text: 'any', format: 'any', title: 'any', metadata: 'any' },
}
const RETRIEVE: Known<RetrieveOptions> = {
  mode: ['hybrid', 'vector', 'words'],
  ...{ topK: 'any', diversity: 'any', filter: 'any' },
}
const PROMPT: Known<PromptOptions> = { ...RETRIEVE, budget: 'any', instructions: 'any' }

const FORMATS: Record<string, Format> = { '.md': 'markdown', '.markdown': 'markdown', '.htm': 'html', '.html': 'html' }
/** With what a key needs beside it. */
const SOURCE_MAX = 900
/** With what stands beside it. */
const NAMESPACE_MAX = 248
/** For a prompt so many passages are tried. */
const PROMPT_PASSAGES = 20
/** Texts whose vectors are asked for at once. */
const EMBEDDED = 512

/** By store and namespace: one change after the other. */
const turns = new WeakMap<Database, Map<string, Promise<unknown>>>()

/**
 * ```ts
 * const rag = new memory.Rag(db)
 * await rag.ingest({ source: 'manual.md', text: await readFile('manual.md', 'utf8') })
 * const { text, citations } = await rag.prompt('which oil does the pump take?')
 * ```
 */
export class Rag {
  readonly namespace: string

  constructor(
    private readonly db: Database,
    private readonly options: RagOptions = {},
  ) {
    checkOptions('a Rag', options, RAG)
    checkDatabase(db)
    checkEmbedder(options.embedder)
    const { namespace, size = 512, overlap = 0 } = options
    this.namespace = namespace ?? 'documents'
    checkName('namespace', this.namespace, NAMESPACE_MAX)
    checkWhole('size', size, 16, 8192)
    checkWhole('overlap', overlap)
  }

  /** Takes a document, whole or not at all. Of one that was there before only what changed is embedded; what went is removed. */
  ingest(document: Document): Promise<Ingested> {
    return this.turn(() => this.take(document))
  }

  /** Whether it was there. */
  remove(source: string): Promise<boolean> {
    return this.turn(async () => {
      const [entry] = await this.entries([source])
      if (!entry) return false
      await this.db.putBatch([...this.without(entry.keys), { namespace: this.sourcesSpace, key: source }])
      return true
    })
  }

  /** All documents, or those whose source begins so. */
  async sources(prefix = ''): Promise<Source[]> {
    const { rows } = await this.db.query<{ key: string; value: Entry }>(this.sourcesSpace, { prefix })
    return rows.map(({ key, value: { title, format, keys, model, metadata = {}, time } }) => ({
      ...{ source: key, title, format, chunks: keys.length, model, metadata, time },
    }))
  }

  /** The passages that fit best, the best first. */
  async retrieve(question: string, options: RetrieveOptions = {}): Promise<Passage[]> {
    checkOptions('retrieve', options, RETRIEVE)
    const { mode = 'hybrid', topK = 5, diversity = 0, filter } = options
    if (typeof question !== 'string') {
      throw new EngineError('INVALID_INPUT', `the question is ${quote(question)}; it must be a text`)
    }
    checkWhole('topK', topK)
    const asked: Record<string, unknown> = { namespace: this.namespace, topK, diversity }
    checkFilter('filter', filter)
    if (filter) asked.filter = filter
    if (mode !== 'vector') asked.text = question
    let vector: Float32Array | undefined
    if (mode !== 'words') {
      const embedder = await this.embedder()
      vector = await embedBy(embedder, [question])
      asked.model = embedder.model
    }
    const rows = await this.db.passages<Kept & Pick<Passage, 'key' | 'score' | 'why'>>(asked, vector)
    return rows.map(({ title = null, metadata = {}, ...row }) => ({ ...row, title, metadata, citation: cite(row) }))
  }

  /** A text for a language model: passages with numbers, as many as fit into the budget, and the question. */
  async prompt(question: string, given: PromptOptions = {}): Promise<Prompt> {
    checkOptions('prompt', given, PROMPT)
    const { budget = 2000, instructions, ...options } = given
    checkWhole('budget', budget, 1)
    checkOptionalText('instructions', instructions)
    const passages = await this.retrieve(question, { topK: PROMPT_PASSAGES, ...options })
    const { text, tokens, used } = await (await BuiltInEmbedder.open()).prompt({
      question,
      passages: passages.map(({ citation, text }) => ({ label: citation, text })),
      budget,
      ...(instructions !== undefined && { instructions }),
    })
    return { text, tokens, citations: used.map((place) => passages[place] as Passage) }
  }

  private get sourcesSpace(): string {
    return `${this.namespace}#sources`
  }

  private async embedder(): Promise<Embedder> {
    return this.options.embedder ?? BuiltInEmbedder.open()
  }

  private entries(sources: string[]): Promise<(Entry | undefined)[]> {
    return this.db.getMany<Entry>(this.sourcesSpace, sources)
  }

  private async take(document: Document): Promise<Ingested> {
    check(document)
    const { source, metadata } = document
    const read = await readable(document)
    const { text, format, pages } = read
    const embedder = await this.embedder()
    const { size, overlap } = this.options
    const cut = {
      format: format === 'pdf' ? 'text' : format,
      ...(size !== undefined && { size }),
      ...(overlap !== undefined && { overlap }),
    }
    const whole = [text, cut, embedder.model, document.title ?? null, metadata ?? null, ...pages]
    const hash = hashOf(toJson(whole, 'document'), 64)
    const [before] = await this.entries([source])
    if (before?.hash === hash && (await this.isWhole(before.keys))) {
      const chunks = before.keys.length
      return { source, chunks, added: 0, kept: chunks, removed: 0 }
    }
    await this.agree(embedder.model)
    const { title: own, chunks } = await cutUp(read, cut)
    const title = document.title ?? own
    const keyed = this.keyed(source, embedder.model, chunks)
    const keys = [...keyed.keys()]
    const about = { ...(title !== null && { title }), ...(metadata && { metadata }) }
    const documents = [...keyed.values()].map((chunk, part): Kept => ({ source, part, ...chunk, ...about }))
    const { operations, added } = await this.changes(keys, documents, embedder)
    const gone = (before?.keys ?? []).filter((key) => !keyed.has(key))
    const entry: Entry = {
      hash,
      title,
      format,
      model: embedder.model,
      keys,
      ...(metadata && { metadata }),
      time: Date.now(),
    }
    await this.db.putBatch([
      ...operations,
      ...this.without(gone),
      { namespace: this.sourcesSpace, key: source, value: entry },
    ])
    return { source, chunks: keys.length, added, kept: keys.length - added, removed: gone.length }
  }

  /** What must be written so that these chunks are there; only those without a vector are embedded. */
  private async changes(keys: string[], documents: Kept[], embedder: Embedder) {
    const [kept, vectors] = await Promise.all([
      this.db.getMany<Kept>(this.namespace, keys),
      this.db.getMany<{ vector: string; metadata: unknown }>(beside(this.namespace), keys),
    ])
    const missing = documents.filter((_, place) => !vectors[place])
    const made = await this.embed(missing, embedder)
    const operations: Operation[] = []
    for (const [place, document] of documents.entries()) {
      const key = keys[place] as string
      const metadata = { ...document.metadata, source: document.source }
      const old = vectors[place]
      if (!old || !isDeepStrictEqual(old.metadata, metadata)) {
        const vector = old ? vectorOf(old) : (made.get(document) as Float32Array)
        operations.push({
          namespace: beside(this.namespace),
          key,
          value: embeddingOf(vector, embedder.model, metadata),
        })
      }
      if (!isDeepStrictEqual(kept[place], document))
        operations.push({ namespace: this.namespace, key, value: document })
    }
    return { operations, added: missing.length }
  }

  private async embed(documents: Kept[], embedder: Embedder): Promise<Map<Kept, Float32Array>> {
    const made = new Map<Kept, Float32Array>()
    for (let from = 0; from < documents.length; from += EMBEDDED) {
      const some = documents.slice(from, from + EMBEDDED)
      const vectors = await embedBy(embedder, some.map(embedded))
      const length = vectors.length / some.length
      await this.agree(embedder.model, length)
      for (const [place, document] of some.entries()) {
        made.set(document, vectors.slice(place * length, (place + 1) * length))
      }
    }
    return made
  }

  /** The first document of a namespace says of which model all are. */
  private async agree(model: string, dimensions?: number): Promise<void> {
    const known = await this.db.embeddingInfo(this.namespace)
    if (!known || (known.model === model && (dimensions ?? known.dimensions) === known.dimensions)) return
    const of = (model: string, dimensions?: number) =>
      `model ${quote(model)}${dimensions ? ` with ${dimensions} components` : ''}`
    throw new EngineError(
      'INVALID_INPUT',
      `the embedder is of ${of(model, dimensions)}, and the documents in ${quote(this.namespace)} are of ` +
        `${of(known.model, known.dimensions)}; use that one, another namespace, or remove all documents first`,
    )
  }

  /** Each by a key that says what is in it: what moves keeps it. */
  private keyed(source: string, model: string, chunks: Placed[]): Map<string, Placed> {
    const keyed = new Map<string, Placed>()
    for (const chunk of chunks) {
      const base = `${source}#${hashOf(`${model}\0${embedded(chunk)}`, 16)}`
      let key = base
      for (let again = 2; keyed.has(key); again += 1) key = `${base}-${again}`
      keyed.set(key, chunk)
    }
    return keyed
  }

  private async isWhole(keys: string[]): Promise<boolean> {
    const found = await Promise.all([this.namespace, beside(this.namespace)].map((it) => this.db.getMany(it, keys)))
    return found.every((all) => all.every((one) => one !== undefined))
  }

  private without(keys: string[]): Operation[] {
    return keys.flatMap((key) => [this.namespace, beside(this.namespace)].map((namespace) => ({ namespace, key })))
  }

  private turn<T>(work: () => Promise<T>): Promise<T> {
    const spaces = turns.get(this.db) ?? new Map<string, Promise<unknown>>()
    turns.set(this.db, spaces)
    const mine = (spaces.get(this.namespace) ?? Promise.resolve()).then(work)
    const settled = mine.catch(() => {})
    spaces.set(this.namespace, settled)
    void settled.then(() => {
      if (spaces.get(this.namespace) === settled) spaces.delete(this.namespace)
    })
    return mine
  }
}

/** What a vector is made of. */
function embedded({ headings, text }: Pick<Chunk, 'headings' | 'text'>): string {
  return [...headings, text].join('\n')
}

function hashOf(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}

function cite({ source, headings, page, line }: Pick<Kept, 'source' | 'headings' | 'page' | 'line'>): string {
  const parts = [source, headings.join(' > '), page === undefined ? '' : `page ${page}`, `line ${line}`]
  return parts.filter(Boolean).join(', ')
}

async function readable({ source, text, format }: Document): Promise<Readable> {
  const byName = FORMATS[extname(source).toLowerCase()] ?? 'text'
  const pdf = typeof text !== 'string' && isPdf(text)
  if (!pdf && format !== 'pdf') {
    const read = typeof text === 'string' ? text : decoded(source, text)
    return { text: read, format: format ?? byName, title: null, pages: [] }
  }
  if (!pdf || (format ?? 'pdf') !== 'pdf') {
    const what = pdf ? `a PDF, which is no ${format}` : 'no PDF; give the bytes of its file'
    throw new EngineError('INVALID_INPUT', `the document ${quote(source)} is ${what}`)
  }
  const { title, pages } = await pdfText(text)
  let next = 0
  const starts = pages.map((page) => {
    const start = next
    next += page.length + 1
    return start
  })
  return { text: pages.join('\n'), format: 'pdf', title, pages: starts }
}

/** The text of a file: UTF-8, or UTF-16 where a byte order mark says so. The mark stays: places count it. */
function decoded(source: string, bytes: Uint8Array): string {
  const refuse = (what: string) => {
    const way = 'save it as UTF-8, or give its text'
    return new EngineError('INVALID_INPUT', `the document ${quote(source)} ${what}; ${way}`)
  }
  const begin = Buffer.from(bytes.subarray(0, 4)).toString('hex')
  if (begin === 'fffe0000' || begin === '0000feff') throw refuse('is UTF-32, which is not read')
  const [encoding, given] = begin.startsWith('fffe')
    ? ['UTF-16LE', bytes]
    : begin.startsWith('feff')
      ? ['UTF-16BE', swapped(bytes)]
      : ['UTF-8', bytes]
  let text: string
  try {
    const form = encoding === 'UTF-8' ? encoding : 'UTF-16LE'
    text = new TextDecoder(form, { fatal: true, ignoreBOM: true }).decode(given)
  } catch {
    throw refuse(`is no valid ${encoding}`)
  }
  if (!text.includes('\0')) return text
  throw refuse('has zero bytes, as a binary file has, and UTF-16 without a byte order mark')
}

/** Both bytes of each unit change places; one that stands alone stays. */
function swapped(bytes: Uint8Array): Buffer {
  const whole = bytes.length & ~1
  return Buffer.concat([Buffer.from(bytes.subarray(0, whole)).swap16(), bytes.subarray(whole)])
}

/** The chunks of a document, and its title. Each lies within a page, if there are pages. */
async function cutUp({ text, title, pages }: Readable, options: ChunkOptions) {
  const embedder = await BuiltInEmbedder.open()
  if (pages.length === 0) return embedder.chunks(text, options)
  const chunks: Placed[] = []
  for (const [place, start] of pages.entries()) {
    const page = text.slice(start, pages[place + 1])
    if (page.trim() === '') continue
    const cut = await embedder.chunks(page, options)
    const placed = cut.chunks.map((chunk) => ({ ...chunk, start: start + chunk.start, end: start + chunk.end }))
    chunks.push(...placed.map((chunk) => ({ ...chunk, page: place + 1 })))
  }
  return { title, chunks }
}

function check(document: Document): void {
  if (document === null || typeof document !== 'object') {
    throw new EngineError('INVALID_INPUT', `${quote(document)} is no document; give its source and its text`)
  }
  checkOptions('a document', document, DOCUMENT)
  const { source, text, title, metadata } = document
  if (typeof source !== 'string' || source === '' || Buffer.byteLength(source) > SOURCE_MAX) {
    const what = `the source is ${quote(source)}; give a text of 1 to ${SOURCE_MAX} bytes, such as the document's path`
    throw new EngineError('INVALID_INPUT', what)
  }
  if (typeof text !== 'string' && !(text instanceof Uint8Array)) {
    throw new EngineError('INVALID_INPUT', `${quote(text)} is no document; give its text, or the bytes of its file`)
  }
  if (title !== undefined && typeof title !== 'string') {
    throw new EngineError('INVALID_INPUT', `the title is ${quote(title)}; it must be a text`)
  }
  if (metadata !== undefined && (metadata === null || typeof metadata !== 'object' || Array.isArray(metadata))) {
    throw new EngineError('INVALID_INPUT', `the metadata is ${quote(metadata)}; it must be an object`)
  }
  if (metadata) checked(metadata, 'metadata')
}
