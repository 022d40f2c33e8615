import { types } from 'node:util'
import type { VectorIndex as Handle, VectorStats } from '#native'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { toJson } from '../../shared/json'
import { engine, native } from '../../shared/native'
import { checkOptions, type Known } from '../../shared/options'
import { checkFinite, checkText, checkWhole } from './checks'

/** Given to `VectorIndex.open`; what is left out has its default. */
export interface VectorOptions {
  /** Components a vector. */
  dimensions: number
  /** `cosine` by default. */
  metric?: 'cosine' | 'dot' | 'l2'
  /** How vectors are kept: `f32` by default, `f16` in half the memory, `i8` in a fourth and with scores that are rounded. */
  storage?: 'f32' | 'f16' | 'i8'
  /** The most memory that it takes: 2 GiB by default. */
  maxBytes?: number
  /** So many are compared one by one, which finds the nearest for sure; 20,000 by default. Of more a graph finds them. */
  exactUpTo?: number
  /** How wide a search walks through the graph: 64 by default; wider finds more and takes longer. */
  width?: number
}

export interface VectorQuery {
  /** So many, or all there are; 10 by default. */
  topK?: number
  /** Only scores at least so good; for `l2`, distances at most so long. */
  threshold?: number
  /** Only these ids. */
  ids?: Uint32Array
}

/** Best first. For `cosine` and `dot` a larger score is nearer, for `l2` a smaller one. */
export interface VectorHit {
  id: number
  score: number
}

export interface VectorResult {
  hits: VectorHit[]
  /** Compared one by one, not through the graph. */
  exact: boolean
}

const OPTIONS: Known<VectorOptions> = {
  ...{ dimensions: 'any', metric: ['cosine', 'dot', 'l2'], storage: ['f32', 'f16', 'i8'] },
  ...{ maxBytes: 'any', exactUpTo: 'any', width: 'any' },
}
const QUERY: Known<VectorQuery> = { topK: 'any', threshold: 'any', ids: 'any' }

/** A vector as it crosses: not copied where it is a `Float32Array` already. */
export type Vector = Float32Array | readonly number[]

/** Vectors by id, and the nearest of them. Whoever keeps the vectors numbers the changes: `seq` is the last one's number. */
export class VectorIndex {
  private constructor(private readonly handle: Handle) {}

  /** The index that was saved in a file, or an empty one: `loaded` and `rebuild` say which. */
  static async open(options: VectorOptions, path?: string): Promise<VectorIndex> {
    checkOptions('a VectorIndex', options, OPTIONS)
    const asked = toJson(options, 'options')
    return new VectorIndex(await coded(() => native().VectorIndex.open(asked, path)))
  }

  /** Whether it came from its file. */
  get loaded(): boolean {
    return this.handle.loaded
  }

  /** Why its file is of no use, where there is one: bring all vectors again. */
  get rebuild(): string | null {
    return this.handle.rebuild ?? null
  }

  options(): Required<VectorOptions> {
    return JSON.parse(engine(() => this.handle.options()))
  }

  /** Takes vectors, lying one after the other, all or none. What is given must not change meanwhile. */
  async put(ids: Uint32Array, vectors: Vector, seq: number): Promise<void> {
    checkIds(ids)
    checkWhole('seq', seq)
    const all = floats(vectors)
    return coded(() => this.handle.put(ids, all, seq))
  }

  /** Forgets vectors; resolves to how many were there. */
  async remove(ids: Uint32Array, seq: number): Promise<number> {
    checkIds(ids)
    checkWhole('seq', seq)
    return coded(() => this.handle.remove(ids, seq))
  }

  async search(vector: Vector, query: VectorQuery = {}): Promise<VectorResult> {
    const { ids, scores, exact } = await this.find(vector, query)
    return { hits: Array.from(ids, (id, place) => ({ id, score: scores[place] as number })), exact }
  }

  /** For many vectors, lying one after the other: the quick way, since only one promise is made. */
  async searchMany(vectors: Vector, query: VectorQuery = {}): Promise<VectorHit[][]> {
    const { ids, scores, counts } = await this.find(vectors, query)
    let next = 0
    return Array.from(counts, (count) =>
      Array.from({ length: count }, () => {
        const hit = { id: ids[next] as number, score: scores[next] as number }
        next += 1
        return hit
      }),
    )
  }

  private find(vectors: Vector, query: VectorQuery) {
    checkOptions('a search', query, QUERY)
    const { topK = 10, threshold, ids } = query
    checkWhole('topK', topK, 0, 0xffffffff)
    if (threshold !== undefined) checkFinite('threshold', threshold)
    if (ids !== undefined) checkIds(ids)
    const all = floats(vectors)
    return coded(() => this.handle.search(all, topK, threshold, ids))
  }

  /** A vector as it is kept: of length 1 for `cosine`. */
  get(id: number): Float32Array | undefined {
    checkWhole('id', id, 0, 0xffffffff)
    return engine(() => this.handle.getVector(id)) ?? undefined
  }

  stats(): VectorStats {
    return engine(() => ({ ...this.handle.stats() }))
  }

  /** Resolves when the graph has all it should have. Searches are right before, too. */
  settle(): Promise<void> {
    return coded(() => this.handle.settle())
  }

  /** Writes it to a file, whole or not at all. */
  async save(path: string): Promise<void> {
    checkText('the path', path)
    return coded(() => this.handle.save(path))
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

export function checkIds(ids: Uint32Array): void {
  if (types.isUint32Array(ids)) return
  throw new EngineError('INVALID_INPUT', `the ids are ${quote(ids)}; give a Uint32Array`)
}

/** Calls the engine: whatever it throws or rejects with becomes an `EngineError`. */
export async function coded<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw toEngineError(error)
  }
}

function floats(vector: Vector): Float32Array {
  // One of another context, as that of a function node, is one, too.
  if (types.isFloat32Array(vector)) return vector
  if (Array.isArray(vector)) return Float32Array.from(vector)
  throw new EngineError('INVALID_INPUT', `the vector is ${quote(vector)}; give a Float32Array, or a list of numbers`)
}
