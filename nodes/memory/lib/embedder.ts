import { types } from 'node:util'
import type { TextEmbedder, WordIndex as WordHandle } from '#native'
import { EngineError, quote } from '../../shared/errors'
import { toJson } from '../../shared/json'
import { engine, native } from '../../shared/native'
import { checkChoice, checkOptions, type Known } from '../../shared/options'
import { checkFinite, checkWhole } from './checks'
import { checkIds, coded, type VectorHit } from './vectors'

/** How a document is written. */
export type Format = 'text' | 'markdown' | 'html'

/** Tokens are those of the built-in embedder. */
export interface ChunkOptions {
  /** `text` by default. */
  format?: Format
  /** Tokens a chunk has at most; 512 by default. */
  size?: number
  /** Tokens that it shares with the one before, at most; 128 by default. */
  overlap?: number
}

/** A part of a document. */
export interface Chunk {
  text: string
  /** Those above it, the outermost first. */
  headings: string[]
  /** Where it stands in the document: `document.slice(start, end)`. */
  start: number
  end: number
  /** The line in which it begins, from 1. */
  line: number
  tokens: number
}

export interface PromptQuestion {
  question: string
  /** The best first. */
  passages: { label: string; text: string }[]
  /** Tokens of the whole. */
  budget: number
  instructions?: string
}

const CHUNKS: Known<ChunkOptions> = { format: ['text', 'markdown', 'html'], size: 'any', overlap: 'any' }
const PROMPT: Known<PromptQuestion> = { question: 'any', passages: 'any', budget: 'any', instructions: 'any' }
const SEARCH: Known<{ topK?: number; ids?: Uint32Array }> = { topK: 'any', ids: 'any' }

/** Vectors of texts without a model server: small, quick, and for English. */
export class BuiltInEmbedder {
  /** Stored with vectors: those of other models cannot be compared with them. */
  readonly model = 'millrace-minilm-static-1'

  private constructor(private readonly embedder: TextEmbedder) {}

  /** Reads the table, once for all that ask. */
  static open(): Promise<BuiltInEmbedder> {
    opened ??= coded(() => native().TextEmbedder.open()).then((embedder) => new BuiltInEmbedder(embedder))
    // The next one tries again.
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }

  get dimensions(): number {
    return this.embedder.dimensions
  }

  /** The vectors of texts, of length 1, one after the other. A text without a word or sign is an error. */
  async embed(texts: string[]): Promise<Float32Array> {
    checkTexts(texts)
    return coded(() => this.embedder.embed(texts))
  }

  /** Where the pieces of a text end, in bytes of its UTF-8: lengths in tokens are counted by them. */
  async ends(text: string): Promise<Uint32Array> {
    checkTexts([text])
    return coded(() => this.embedder.ends(text))
  }

  /** A document in chunks, and its title. A byte order mark is no part of it. */
  async chunks(text: string, options: ChunkOptions = {}): Promise<{ title: string | null; chunks: Chunk[] }> {
    checkTexts([text])
    checkOptions('chunks', options, CHUNKS)
    // Places are those of the text as it was given.
    const mark = text.startsWith('\ufeff') ? 1 : 0
    const asked = toJson(options, 'options')
    const found = JSON.parse(await coded(() => this.embedder.chunks(text.slice(mark), asked)))
    for (const chunk of found.chunks) {
      chunk.start += mark
      chunk.end += mark
    }
    return found
  }

  /** A prompt of passages, and the places of those that are in it. */
  async prompt(asked: PromptQuestion): Promise<{ text: string; tokens: number; used: number[] }> {
    checkOptions('a prompt', asked, PROMPT)
    const question = toJson(asked, 'question')
    return JSON.parse(await coded(() => this.embedder.prompt(question)))
  }
}

let opened: Promise<BuiltInEmbedder> | undefined

/** Texts by their words (BM25): whole words, or groups of three letters, which bear other endings and mistakes. */
export class WordIndex {
  private readonly handle: WordHandle

  constructor(terms: 'words' | 'trigrams') {
    checkChoice('terms', terms, ['words', 'trigrams'])
    this.handle = new (native().WordIndex)(terms === 'trigrams')
  }

  /** Takes texts, each with its id; one whose id is there is replaced. */
  async put(ids: Uint32Array, texts: string[]): Promise<void> {
    checkIds(ids)
    checkTexts(texts)
    return coded(() => this.handle.put(ids, texts))
  }

  /** Forgets texts; resolves to how many were there. */
  async remove(ids: Uint32Array): Promise<number> {
    checkIds(ids)
    return coded(() => this.handle.remove(ids))
  }

  /** The texts that fit best, best first; only those that share a term. */
  async search(text: string, options: { topK?: number; ids?: Uint32Array } = {}): Promise<VectorHit[]> {
    checkTexts([text])
    checkOptions('a search', options, SEARCH)
    const { topK = 10, ids } = options
    checkWhole('topK', topK, 0, 0xffffffff)
    if (ids !== undefined) checkIds(ids)
    return hitsOf(await coded(() => this.handle.search(text, topK, ids)))
  }

  get size(): number {
    return this.handle.size
  }

  get bytes(): number {
    return this.handle.bytes
  }
}

/** One list from several, each best first and with a weight: by their scores, or by rank alone. */
export function fuse(lists: { hits: VectorHit[]; weight?: number }[], by: 'score' | 'rank' = 'score'): VectorHit[] {
  checkChoice('by', by, ['score', 'rank'])
  if (!Array.isArray(lists))
    throw new EngineError('INVALID_INPUT', `the lists are ${quote(lists)}; give a list of them`)
  const weighted = lists.map((list) => {
    if (!Array.isArray(list?.hits)) {
      throw new EngineError('INVALID_INPUT', `a list is ${quote(list)}; give { hits, weight }, of which hits is a list`)
    }
    const { hits, weight = 1 } = list
    checkFinite('weight', weight)
    return {
      ids: Uint32Array.from(hits, ({ id }) => id),
      scores: Float32Array.from(hits, ({ score }) => score),
      weight,
    }
  })
  return hitsOf(engine(() => native().fuseHits(weighted, by === 'rank' ? 60 : undefined)))
}

function checkTexts(texts: readonly string[]): void {
  if (!Array.isArray(texts)) throw new EngineError('INVALID_INPUT', `the texts are ${quote(texts)}; give a list`)
  const place = texts.findIndex((text) => typeof text !== 'string')
  if (place < 0) return
  throw new EngineError('INVALID_INPUT', `text ${place} is ${quote(texts[place])}; it must be a text`)
}

function hitsOf({ ids, scores }: { ids: Uint32Array; scores: Float32Array }): VectorHit[] {
  return Array.from(ids, (id, place) => ({ id, score: scores[place] as number }))
}

/** The places of those that fit and do not say the same again; vectors of length 1 lie one after the other. */
export function diverse(relevance: Float32Array, vectors: Float32Array, topK: number, balance = 0.7): number[] {
  for (const [name, given] of Object.entries({ relevance, vectors })) {
    if (types.isFloat32Array(given)) continue
    throw new EngineError('INVALID_INPUT', `${name} is ${quote(given)}; give a Float32Array`)
  }
  checkWhole('topK', topK, 0, 0xffffffff)
  checkFinite('balance', balance)
  return Array.from(engine(() => native().diverse(relevance, vectors, balance, topK)))
}
