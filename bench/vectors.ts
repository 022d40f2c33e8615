/**
 * The vector index through JavaScript beside hnswlib-node and sqlite-vec, in one run, alternating: 100,000 real
 * sentence embeddings of 384 components (`native/embedding/corpus.py` makes them). Peers are not dependencies: they
 * are looked for in `.cache/bench-peers` (`npm install hnswlib-node sqlite-vec better-sqlite3` there) and left out,
 * by name, where they are not.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { VectorIndex } from '../nodes/memory/lib/vectors'

const DIMENSIONS = 384
const BASE = 100_000
const QUERIES = 1_000
const FEW = 100
const ROUNDS = 5
const K = 10

const root = join(__dirname, '..')
const file = join(root, '.cache/embedding/wordnet.f32')

/** Searches; gives the ids of each question. */
type Search = (queries: Float32Array[]) => Promise<ArrayLike<number>[]> | ArrayLike<number>[]

function peer<T>(name: string): T | undefined {
  try {
    return createRequire(join(root, '.cache/bench-peers/package.json'))(name)
  } catch {
    console.log(`without ${name}: it is not in .cache/bench-peers`)
    return undefined
  }
}

function nearest(base: Float32Array, query: Float32Array, allowed: (id: number) => boolean): Set<number> {
  const scored: [number, number][] = []
  for (let id = 0; id < BASE; id += 1) {
    if (!allowed(id)) continue
    let dot = 0
    for (let at = 0; at < DIMENSIONS; at += 1) dot += (base[id * DIMENSIONS + at] as number) * (query[at] as number)
    scored.push([dot, id])
  }
  return new Set(
    scored
      .sort((a, b) => b[0] - a[0])
      .slice(0, K)
      .map(([, id]) => id),
  )
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

async function measure(label: string, ways: Record<string, Search>, queries: Float32Array[], truth: Set<number>[]) {
  const rates: Record<string, number[]> = {}
  const right: Record<string, number> = {}
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, search] of Object.entries(ways)) {
      let found: ArrayLike<number>[] = []
      const seconds = await timed(async () => {
        found = await search(queries)
      })
      rates[name] = [...(rates[name] ?? []), queries.length / seconds]
      right[name] = found.reduce((sum, ids, at) => sum + Array.from(ids).filter((id) => truth[at]?.has(id)).length, 0)
    }
  }
  for (const [name, all] of Object.entries(rates)) {
    const spread = `${Math.round(Math.min(...all))}–${Math.round(Math.max(...all))}`
    const recall = ((right[name] ?? 0) / (K * queries.length)).toFixed(4)
    console.log(
      `${`${label}, ${name}`.padEnd(44)}${median(all).toFixed(0).padStart(8)}/s  (${spread})  recall ${recall}`,
    )
  }
}

/** One after the other, each awaited, as a node asks. */
const awaited =
  (index: VectorIndex, ids?: Uint32Array): Search =>
  async (queries) => {
    const found: number[][] = []
    for (const query of queries) {
      const { hits } = await index.search(query, ids ? { topK: K, ids } : { topK: K })
      found.push(hits.map(({ id }) => id))
    }
    return found
  }

async function main(): Promise<void> {
  if (!existsSync(file)) return console.log('No vectors: run native/embedding/corpus.py first.')
  const bytes = readFileSync(file)
  const all = new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4)
  const row = (at: number): Float32Array => all.subarray(at * DIMENSIONS, (at + 1) * DIMENSIONS)
  const base = all.subarray(0, BASE * DIMENSIONS)
  const queries: Float32Array[] = Array.from({ length: QUERIES }, (_, at) => row(BASE + at))
  const few = queries.slice(0, FEW)
  const kept = Uint32Array.from({ length: BASE / 100 }, (_, at) => at * 100)
  const truth = queries.map((query) => nearest(base, query, () => true))
  const keptTruth = few.map((query) => nearest(base, query, (id) => id % 100 === 0))

  const ids = Uint32Array.from({ length: BASE }, (_, id) => id)
  const index = await VectorIndex.open({ dimensions: DIMENSIONS })
  const built = await timed(async () => {
    await index.put(ids, base, 1)
    await index.settle()
  })
  console.log(`built, millrace: ${Math.round(BASE / built)}/s, ${Math.round(index.stats().bytes / 1e6)} MB`)
  const exact = await VectorIndex.open({ dimensions: DIMENSIONS, exactUpTo: BASE })
  await exact.put(ids, base, 1)

  interface Hnsw {
    initIndex(options: object): void
    addPoint(vector: number[], id: number): void
    setEf(ef: number): void
    searchKnn(vector: number[], k: number): { neighbors: number[] }
  }
  const ways: Record<string, Search> = { millrace: awaited(index) }
  const hnswlib = peer<{ HierarchicalNSW: new (space: string, dimensions: number) => Hnsw }>('hnswlib-node')
  if (hnswlib) {
    const hnsw = new hnswlib.HierarchicalNSW('ip', DIMENSIONS)
    hnsw.initIndex({ maxElements: BASE, m: 16, efConstruction: 128 })
    const rows = Array.from(ids, (id) => Array.from(row(id)))
    const seconds = await timed(() => {
      for (const [id, vector] of rows.entries()) hnsw.addPoint(vector, id)
    })
    console.log(`built, hnswlib-node: ${Math.round(BASE / seconds)}/s`)
    const lists = new Map<Float32Array, number[]>(queries.map((query) => [query, Array.from(query)]))
    for (const ef of [64, 96, 128]) {
      ways[`hnswlib-node ef ${ef}`] = (queries) => {
        hnsw.setEf(ef)
        return queries.map((query) => hnsw.searchKnn(lists.get(query) as number[], K).neighbors)
      }
    }
  }
  await measure('nearest', ways, queries, truth)

  interface Statement {
    run(...values: unknown[]): void
    all(...values: unknown[]): { rowid: number }[]
  }
  interface Sqlite {
    exec(sql: string): void
    prepare(sql: string): Statement
  }
  const exactWays: Record<string, Search> = { millrace: awaited(exact) }
  const sqlite = peer<new (path: string) => Sqlite>('better-sqlite3')
  const vec = peer<{ load(db: Sqlite): void }>('sqlite-vec')
  if (sqlite && vec) {
    const db = new sqlite(':memory:')
    vec.load(db)
    db.exec(`create virtual table v using vec0(e float[${DIMENSIONS}] distance_metric=cosine); begin`)
    const insert = db.prepare('insert into v(rowid, e) values (?, ?)')
    for (const id of ids) insert.run(BigInt(id), row(id))
    db.exec('commit')
    const select = db.prepare(`select rowid from v where e match ? and k = ${K} order by distance`)
    exactWays['sqlite-vec'] = (queries) => queries.map((query) => select.all(query).map(({ rowid }) => rowid))
  }
  await measure('exact', exactWays, few, truth)
  await measure('a filter that keeps 1 %', { millrace: awaited(index, kept) }, few, keptTruth)
  await Promise.all([index.close(), exact.close()])
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
