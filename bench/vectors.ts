/**
 * The vector index through JavaScript beside hnswlib-node, usearch, LanceDB and sqlite-vec, in one run, alternating: 100,000
 * real sentence embeddings of 384 components (`native/embedding/corpus.py` makes them). Then the same through the database.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { memory } from '../nodes'
import { VectorIndex } from '../nodes/memory/lib/vectors'
import { median } from './lib/figures'
import { peer } from './lib/peers'

const DIMENSIONS = 384
/** At most: where the file has fewer, it is said. */
const WANTED = 100_000
const QUERIES = 1_000
const FEW = 100
const ROUNDS = 5
/** Builds take turns, a part each, so that all meet the same load. */
const PARTS = 10
const K = 10

const root = join(__dirname, '..')
const file = join(root, '.cache/embedding/wordnet.f32')
const BASE = existsSync(file) ? Math.min(WANTED, statSync(file).size / 4 / DIMENSIONS - QUERIES) : 0
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-vectors-'))

/** Searches; gives the ids of each question. */
type Search = (queries: Float32Array[]) => Promise<ArrayLike<number>[]> | ArrayLike<number>[]

function nearest(base: Float32Array, query: Float32Array, allowed: (id: number) => boolean): Set<number> {
  // The best first; never more than are asked for.
  const best: [score: number, id: number][] = []
  for (let id = 0; id < BASE; id += 1) {
    if (!allowed(id)) continue
    let dot = 0
    for (let at = 0; at < DIMENSIONS; at += 1) dot += (base[id * DIMENSIONS + at] as number) * (query[at] as number)
    if (best.length === K && dot <= (best[K - 1] as [number, number])[0]) continue
    best.push([dot, id])
    best.sort((a, b) => b[0] - a[0]).splice(K)
  }
  return new Set(best.map(([, id]) => id))
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Of the same round, so that both met the same load. */
function ratio(rates: Record<string, number[]>, name: string): string {
  const ours = rates.millrace
  return ours && name !== 'millrace'
    ? `  millrace is ${median((rates[name] ?? []).map((rate, round) => (ours[round] as number) / rate)).toFixed(2)} ×`
    : ''
}

async function measure(label: string, ways: Record<string, Search>, queries: Float32Array[], truth: Set<number>[]) {
  const rates: Record<string, number[]> = {}
  const right: Record<string, number> = {}
  const counts: Record<string, number> = {}
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, search] of Object.entries(ways)) {
      let found: ArrayLike<number>[] = []
      const seconds = await timed(async () => {
        found = await search(queries)
      })
      rates[name] = [...(rates[name] ?? []), found.length / seconds]
      counts[name] = found.length
      right[name] = found.reduce((sum, ids, at) => sum + Array.from(ids).filter((id) => truth[at]?.has(id)).length, 0)
    }
  }
  for (const [name, all] of Object.entries(rates)) {
    const spread = `${Math.round(Math.min(...all))}–${Math.round(Math.max(...all))}`
    const recall = ((right[name] ?? 0) / (K * (counts[name] ?? 1))).toFixed(4)
    console.log(
      `${`${label}, ${name}`.padEnd(44)}${median(all).toFixed(0).padStart(8)}/s  (${spread})  recall ${recall}${ratio(rates, name)}`,
    )
  }
}

/** Adds the rows from one place to another. */
type Build = (from: number, to: number) => unknown

async function build(ways: Record<string, Build>): Promise<void> {
  const seconds: Record<string, number[]> = {}
  for (let part = 0; part < PARTS; part += 1) {
    const [from, to] = [part, part + 1].map((edge) => Math.round((BASE * edge) / PARTS)) as [number, number]
    for (const [name, add] of Object.entries(ways)) {
      seconds[name] = [...(seconds[name] ?? []), await timed(() => add(from, to))]
    }
  }
  const total = (name: string) => (seconds[name] ?? []).reduce((sum, part) => sum + part, 0)
  for (const name of Object.keys(ways)) {
    const ratio = (total(name) / total('millrace')).toFixed(2)
    console.log(
      `${`built, ${name}`.padEnd(44)}${Math.round(BASE / total(name))
        .toString()
        .padStart(8)}/s  millrace is ${ratio} ×`,
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
  console.log(`${BASE} vectors of ${DIMENSIONS} components`)
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
  const builds: Record<string, Build> = {
    async millrace(from, to) {
      await index.put(ids.subarray(from, to), base.subarray(from * DIMENSIONS, to * DIMENSIONS), 1)
      await index.settle()
    },
  }
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
    builds['hnswlib-node'] = (from, to) => {
      for (let id = from; id < to; id += 1) hnsw.addPoint(rows[id] as number[], id)
    }
    const lists = new Map<Float32Array, number[]>(queries.map((query) => [query, Array.from(query)]))
    for (const ef of [64, 96, 128]) {
      ways[`hnswlib-node ef ${ef}`] = (queries) => {
        hnsw.setEf(ef)
        return queries.map((query) => hnsw.searchKnn(lists.get(query) as number[], K).neighbors)
      }
    }
  }
  const filteredWays: Record<string, Search> = { millrace: awaited(index, kept) }
  usearch(base, ids, builds, ways, filteredWays)
  await build(builds)
  console.log(`millrace takes ${Math.round(index.stats().bytes / 1e6)} MB`)
  await lancedb(base, ways)
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
    // Of its own filters, by a list of ids.
    const some = `select rowid from v where e match ? and k = ${K} and rowid in (${Array.from(kept).join()}) order by distance`
    const filtered = db.prepare(some)
    filteredWays['sqlite-vec'] = (queries) => queries.map((query) => filtered.all(query).map(({ rowid }) => rowid))
  }
  await measure('exact', exactWays, few, truth)
  await measure('a filter that keeps 1 %', filteredWays, few, keptTruth)
  await Promise.all([index.close(), exact.close()])
  await throughDatabase(base, few, truth)
}

function usearch(
  base: Float32Array,
  ids: Uint32Array,
  builds: Record<string, Build>,
  ways: Record<string, Search>,
  filteredWays: Record<string, Search>,
): void {
  interface Index {
    add(keys: BigUint64Array, vectors: Float32Array, threads: number): void
    search(vector: Float32Array, k: number, threads: number): { keys: BigUint64Array }
  }
  const library = peer<{ Index: new (options: object) => Index }>('usearch')
  if (!library) return
  const options = { metric: 'ip', dimensions: DIMENSIONS, connectivity: 16, quantization: 'f32' }
  const index = new library.Index({ ...options, expansion_add: 128, expansion_search: 96, multi: false })
  builds.usearch = (from, to) => {
    const some = base.subarray(from * DIMENSIONS, to * DIMENSIONS)
    index.add(BigUint64Array.from(ids.subarray(from, to), BigInt), some, 1)
  }
  const search = (query: Float32Array, k: number) => Array.from(index.search(query, k, 1).keys, Number)
  ways['usearch ef 96'] = (queries) => queries.map((query) => search(query, K))
  // In JavaScript it has no filter: so many are asked for that enough of them pass.
  filteredWays['usearch, of more and more'] = (queries) =>
    queries.map((query) => {
      for (let k = 100 * K; ; k *= 2) {
        const found = search(query, Math.min(k, BASE)).filter((id) => id % 100 === 0)
        if (found.length >= K || k >= BASE) return found.slice(0, K)
      }
    })
}

async function lancedb(base: Float32Array, ways: Record<string, Search>): Promise<void> {
  interface Query {
    distanceType(type: string): Query
    ef(ef: number): Query
    select(columns: string[]): Query
    limit(k: number): Query
    toArray(): Promise<{ id: number }[]>
  }
  interface Table {
    add(rows: object[]): Promise<void>
    createIndex(column: string, options: object): Promise<void>
    vectorSearch(vector: Float32Array): Query
  }
  interface Library {
    connect(path: string): Promise<{ createTable(name: string, rows: object[]): Promise<Table> }>
    Index: { hnswSq(options: object): unknown }
  }
  const library = peer<Library>('@lancedb/lancedb')
  if (!library) return
  const db = await library.connect(join(folder, 'lance'))
  const rows = (from: number) =>
    Array.from({ length: 10_000 }, (_, at) => ({
      id: from + at,
      vector: Array.from(base.subarray((from + at) * DIMENSIONS, (from + at + 1) * DIMENSIONS)),
    }))
  const table = await db.createTable('v', rows(0))
  for (let from = 10_000; from < BASE; from += 10_000) await table.add(rows(from))
  const config = library.Index.hnswSq({ distanceType: 'dot', numPartitions: 1, m: 16, efConstruction: 128 })
  const seconds = await timed(() => table.createIndex('vector', { config }))
  console.log(`built, LanceDB: ${Math.round(BASE / seconds)}/s`)
  ways['LanceDB HNSW_SQ ef 96'] = async (queries) => {
    const found: number[][] = []
    for (const query of queries.slice(0, FEW)) {
      const hits = await table
        .vectorSearch(query)
        .distanceType('dot')
        .ef(96)
        .select(['id', '_distance'])
        .limit(K)
        .toArray()
      found.push(hits.map(({ id }) => id))
    }
    return found
  }
}

/** Kept with the documents: all have a key, and are found again after a restart. */
async function throughDatabase(base: Float32Array, few: Float32Array[], truth: Set<number>[]): Promise<void> {
  const path = join(folder, 'db')
  let db = await memory.Database.open({ path })
  const row = (id: number) => base.subarray(id * DIMENSIONS, (id + 1) * DIMENSIONS)
  const written = await timed(async () => {
    for (let from = 0; from < BASE; from += 1000) {
      const put = (_: unknown, at: number) =>
        db.embed('n', String(from + at), row(from + at), null, { model: 'minilm' })
      await Promise.all(Array.from({ length: 1000 }, put))
    }
  })
  console.log(`embedded, database: ${Math.round(BASE / written)}/s`)
  await db.close()
  db = await memory.Database.open({ path })
  const first = await timed(() => db.search('n', few[0] as Float32Array))
  console.log(`first search after a restart, database: ${first.toFixed(2)} s`)
  const way: Search = async (queries) => {
    const found: number[][] = []
    for (const query of queries) found.push((await db.search('n', query, { topK: K })).map(({ key }) => Number(key)))
    return found
  }
  await measure('while the graph is made', { database: way }, few, truth)
  await db.close()
}

main()
  .catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }))
