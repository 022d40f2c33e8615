import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MemoryDatabase } from '#native'
import { EngineError, quote } from '../../shared/errors'
import { checked, mayHaveHalves, refuseHalves, toJson } from '../../shared/json'
import { native } from '../../shared/native'
import { checkOptions, type Known } from '../../shared/options'
import { type Outcome, Reads, Writes } from './batches'
import { checkName, checkNamespace, checkText } from './checks'
import {
  beside,
  type Embeddable,
  type EmbeddingInfo,
  Embeddings,
  type EmbedOptions,
  type SearchHits,
  type SearchOptions,
  vectorOf,
} from './embeddings'
import { Embeds } from './embeds'
import { type Moment, moment } from './moments'
import { coded } from './vectors'
import { type Event, Watch, type WatchOptions } from './watch'

export type { Moment } from './moments'
export type { Change, Event, Gap, WatchOptions } from './watch'

/** How a database is opened. What is left out has the engine's default. */
export interface Config {
  /** The folder, made where it is missing; without it a temporary one, gone after `close`. */
  path?: string
  /** `sync`: a write is on the disk when it resolves. `batch`: a loss of power takes at most the last `batchMs`. */
  durability?: 'sync' | 'batch'
  batchMs?: number
  /** For what was read and written lately. */
  memoryBytes?: number
  /** The most that the store may have on the disk; puts beyond it fail with `DISK_FULL`. */
  diskBytes?: number
  /** The most that one value may have; `TOO_LARGE` beyond it. */
  valueBytes?: number
  /** So many writes a watcher may be behind before it misses some. */
  changesKept?: number
  /** Cut a damaged journal where the damage begins. */
  repair?: boolean
  /** What is kept of the history of namespaces that have no retention of their own; `compact` gives up the rest. */
  retention?: Retention
  /** How the indexes of vectors are kept in memory; those in the store are whole. */
  vectors?: {
    /** `f32` by default, `f16` in half the memory, `i8` in a fourth and with scores that are rounded. */
    storage?: 'f32' | 'f16' | 'i8'
    /** The most that the index of a namespace takes, 2 GiB by default: beyond it a search fails with `BUFFER_FULL`. */
    maxBytes?: number
  }
}

/** A version that caused another. */
export interface Cause {
  namespace: string
  key: string
  version: string
}

export interface PutOptions {
  /** Only if this is the newest version; null: only if there is none. Else `CONFLICT`. */
  ifVersion?: string | null
  /** Gone after so long. */
  ttlMs?: number
  causes?: Cause[]
}

/** What a write made. */
export interface Version {
  version: string
  /** In milliseconds, the microseconds behind the point. */
  time: number
  previous: string | null
}

/** What an operation made; null where there was nothing to delete. */
export type Written = Version | null

/** A part of an atomic batch; without a value it deletes. */
export interface Operation extends PutOptions {
  namespace: string
  key: string
  value?: unknown
}

/** A version in a history. */
export interface VersionEntry extends Version {
  deleted: boolean
  value?: unknown
  expires?: number
  causes?: Cause[]
}

export interface HistoryOptions {
  limit?: number
  /** The oldest that is wanted. */
  from?: Moment
  /** The newest that is wanted. */
  to?: Moment
  /** False: without the values. */
  values?: boolean
}

/** Differences, to be done in their order; paths are JSON pointers. */
export type Difference =
  | { op: 'add'; path: string; value: unknown }
  | { op: 'remove'; path: string; from: unknown }
  | { op: 'replace'; path: string; from: unknown; value: unknown }

export interface ListOptions {
  prefix?: string
  /** The `next` of the page before. */
  after?: string
  limit?: number
}

export interface NamespaceInfo {
  name: string
  keys: number
  versions: number
  bytes: number
}

/** A version in a lineage, so many steps away. */
export interface Kin extends Cause {
  steps: number
}

interface LineageOptions {
  depth?: number
  limit?: number
}

export interface Query {
  /** Keys that begin so. */
  prefix?: string
  /** `{ path: value }`, `{ path: { gt: 1 } }`, `{ and: [] }`, `{ or: [] }`, `{ not: {} }`. */
  filter?: Record<string, unknown>
  /** The paths that are wanted. */
  select?: string[]
  sort?: { path: string; descending?: boolean }[]
  offset?: number
  limit?: number
  after?: string
  asOf?: Date | number | string
  /** `{ name: { sum: 'path' } }` with count, sum, avg, min, max or distinct; `{ count: true }` counts documents. */
  aggregate?: Record<string, Record<string, string | true>>
  groupBy?: string[]
}

export interface QueryResult<Row = { key: string; value: unknown; version: string; time: number }> {
  rows: Row[]
  next: string | null
  /** How it was found: the index that was used, how many documents were looked at, how many passed. */
  plan: { index?: string | null; view?: string; scanned: number; passed?: number }
}

/** What is kept of a namespace's history; `compact` gives up the rest. */
export interface Retention {
  versions?: number
  ageMs?: number
}

export interface Stats {
  namespaces: number
  keys: number
  versions: number
  bytes: number
  diskBytes: number
  cacheBytes: number
}

export interface Suggestion {
  namespace: string
  key: string
}

/** `KEY_NOT_FOUND`, with up to three names that may be meant. */
export class KeyNotFoundError extends EngineError {
  constructor(
    readonly namespace: string,
    readonly key: string,
    readonly suggestions: Suggestion[],
  ) {
    const near = suggestions.map((it) =>
      it.namespace === namespace ? `'${it.key}'` : `'${it.key}' in '${it.namespace}'`,
    )
    const hint =
      near.length > 0 ? `; did you mean ${near.join(' or ')}?` : '; see which keys there are, or put it first'
    super('KEY_NOT_FOUND', `there is no ${quote(key)} in ${quote(namespace)}${hint}`)
  }
}

/**
 * A versioned store of JSON documents, in one folder.
 *
 * ```ts
 * await using db = await memory.Database.open({ path: 'memory' })
 * await db.put('devices', 'pump', { rpm: 900 })
 * const pump = await db.get('devices', 'pump')
 * ```
 */
export class Database implements AsyncDisposable {
  private readonly reads: Reads
  private readonly writes: Writes
  private readonly embeds: Embeds
  private readonly embeddings = new Embeddings({
    nearest: (question, vector) => this.ask('near', question, vector),
    what: (namespace) => this.ask('nearWhat', namespace),
    keep: async (about, vector) => version(await this.embeds.add(about, vector)) as Version,
    write: (operations) => this.putBatch(operations),
  })
  private readonly watches = new Set<Watch>()
  private closing: Promise<void> | undefined

  private constructor(
    private readonly handle: MemoryDatabase,
    /** The folder. */
    readonly path: string,
    private readonly temporary: boolean,
  ) {
    this.reads = new Reads(handle)
    this.writes = new Writes(handle)
    this.embeds = new Embeds(handle)
  }

  /** Fails with `STORE_LOCKED` where another process has it, `STORE_CORRUPT` where it is damaged. */
  static async open(config: Config = {}): Promise<Database> {
    checkOptions('a database', config, CONFIG)
    const { path, ...options } = config
    if (options.retention !== undefined) checkRetention(options.retention)
    if (options.vectors !== undefined) checkOptions('vectors', options.vectors, VECTORS)
    const asked = toJson(options, 'config')
    if (path !== undefined && (typeof path !== 'string' || path === '')) {
      throw new EngineError('INVALID_OPTION', `path is ${quote(path)}; give a folder, or none for a temporary store`)
    }
    const folder = path ?? (await mkdtemp(join(tmpdir(), 'millrace-memory-')))
    try {
      const handle = await coded(() => native().MemoryDatabase.open(folder, asked))
      return new Database(handle, folder, path === undefined)
    } catch (error) {
      if (path === undefined) await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Makes a store of a backup, in a folder that is not there yet. */
  static async restoreBackup(backup: string, target: string): Promise<{ documents: number; versions: number }> {
    checkText('the folder of the backup', backup)
    checkText('the folder of the store', target)
    return JSON.parse(await coded(() => native().memoryRestoreBackup(backup, target)))
  }

  /** Resolves after the commit. */
  async put(namespace: string, key: string, value: unknown, options: PutOptions = {}): Promise<Version> {
    // A condition that was mistyped would be none.
    checkOptions('put', options, PUT_OPTIONS)
    const [outcome] = await this.writes.add(textOf([{ ...options, namespace, key, value: defined(value) }]))
    return version(outcome) as Version
  }

  /** Operations that happen together or not at all; a batch names a key once. An operation without a value deletes. */
  async putBatch(operations: readonly Operation[]): Promise<Written[]> {
    if (!Array.isArray(operations)) {
      throw new EngineError('INVALID_INPUT', `the batch is ${quote(operations)}; give a list of operations`)
    }
    for (const one of operations) checkOperation(one)
    const outcomes = await this.writes.add(textOf(operations))
    return outcomes.map(version)
  }

  /** Many documents of a namespace, together or not at all. */
  async putMany(namespace: string, entries: Iterable<readonly [key: string, value: unknown]>): Promise<Written[]> {
    const keys: string[] = []
    const values: unknown[] = []
    if (typeof entries !== 'object' || typeof entries?.[Symbol.iterator] !== 'function') {
      throw noEntry('what is to be put', entries)
    }
    for (const entry of entries) {
      if (!Array.isArray(entry)) throw noEntry('a document', entry)
      const [key, value] = entry
      names(namespace, key)
      keys.push(key)
      values.push(checked(value))
    }
    const text = JSON.stringify([{ putMany: { namespace, keys, values } }])
    if (mayHaveHalves(text)) for (const value of values) refuseHalves(value)
    return (await this.writes.add(text)).map(version)
  }

  /** Rejects with a `KeyNotFoundError` where it is not there. */
  async get<T = unknown>(namespace: string, key: string): Promise<T> {
    const found = await this.reads.add(names(namespace, key))
    if (found === 0) throw await this.notFound(namespace, key)
    return found[0] as T
  }

  /** For each key its value; undefined where there is none. */
  async getMany<T = unknown>(
    namespace: string,
    keys: readonly string[],
    options: { at?: Date | number | string } = {},
  ): Promise<(T | undefined)[]> {
    checkOptions('getMany', options, GET_MANY)
    if (!Array.isArray(keys)) throw new EngineError('INVALID_INPUT', `the keys are ${quote(keys)}; give a list`)
    if (keys.length === 0) return []
    const all = keys.map((key) => names(namespace, key)).join('\0')
    const at = options.at === undefined ? undefined : JSON.stringify(moment('at', options.at))
    const found = JSON.parse(await coded(() => this.handle.get(all, at))) as ([T] | 0)[]
    return found.map((it) => (it === 0 ? undefined : it[0]))
  }

  /** As it was at a time, or in a version. `NOT_FOUND`: there is no such version. */
  async getAt<T = unknown>(namespace: string, key: string, at: Moment): Promise<T> {
    const text = names(namespace, key)
    const then = JSON.stringify(moment('at', at))
    const answer = await coded(() => this.handle.get(text, then))
    const [found] = JSON.parse(answer) as ([T] | 0)[]
    if (!found) throw await this.notFound(namespace, key)
    return found[0]
  }

  async contains(namespace: string, key: string): Promise<boolean> {
    names(namespace, key)
    return this.ask('contains', { namespace, key })
  }

  /** The newest first; deletions among them. */
  async history(namespace: string, key: string, options: HistoryOptions = {}): Promise<VersionEntry[]> {
    checkOptions('history', options, HISTORY)
    const { limit, from, to, values } = options
    return this.found(namespace, key, 'history', { limit, from: some('from', from), to: some('to', to), values })
  }

  /** What differs between two moments; `to` is now where it is left out. */
  async diff(namespace: string, key: string, from: Moment, to?: Moment): Promise<Difference[]> {
    return this.found(namespace, key, 'diff', { from: moment('from', from), to: some('to', to) })
  }

  /** Null where there was nothing to delete. History stays. */
  async delete(namespace: string, key: string, options: Omit<PutOptions, 'ttlMs'> = {}): Promise<Written> {
    checkOptions('delete', options, DELETE_OPTIONS)
    const [outcome] = await this.writes.add(textOf([{ ...options, namespace, key }]))
    return version(outcome as Outcome)
  }

  /** Makes what it was at a moment its newest version again. */
  async restore(namespace: string, key: string, at: Moment): Promise<Version> {
    return this.found(namespace, key, 'restore', { at: moment('at', at) })
  }

  /** What caused a version, over all steps. */
  async causes(cause: Cause, options: LineageOptions = {}): Promise<Kin[]> {
    return this.lineage(cause, options, false)
  }

  /** What came of a version, over all steps. */
  async effects(cause: Cause, options: LineageOptions = {}): Promise<Kin[]> {
    return this.lineage(cause, options, true)
  }

  async keys(namespace: string, options: ListOptions = {}): Promise<{ keys: string[]; next: string | null }> {
    checkNamespace(namespace)
    checkOptions('keys', options, LIST)
    return this.ask('keys', { namespace, ...options })
  }

  /** Those that have keys. */
  async namespaces(options: ListOptions = {}): Promise<{ namespaces: NamespaceInfo[]; next: string | null }> {
    checkOptions('namespaces', options, LIST)
    return this.ask('namespaces', options)
  }

  /** Names near one that is not there. */
  async suggestions(namespace: string, key: string): Promise<Suggestion[]> {
    names(namespace, key)
    return this.ask('suggestions', { namespace, key })
  }

  async query<Row = { key: string; value: unknown; version: string; time: number }>(
    namespace: string,
    query: Query = {},
  ): Promise<QueryResult<Row>> {
    return this.ask('query', question(namespace, query))
  }

  /**
   * Keeps the vector of a document, or of a text: with the built-in embedder, or `embedder`. All of a namespace are of one model.
   * They stand in the namespace `<namespace>#vectors`, with history like other documents.
   */
  async embed(
    namespace: string,
    key: string,
    vector: Embeddable,
    metadata?: unknown,
    options: EmbedOptions = {},
  ): Promise<Version> {
    names(namespace, key)
    return this.embeddings.put(namespace, key, vector, metadata, options)
  }

  /** The vector of a document, and its metadata. */
  async embedding(namespace: string, key: string): Promise<{ vector: Float32Array; model: string; metadata: unknown }> {
    checkNamespace(namespace)
    const kept = await this.get<{ vector: string; model: string; metadata?: unknown }>(beside(namespace), key)
    return { vector: vectorOf(kept), model: kept.model, metadata: kept.metadata ?? null }
  }

  /** Null where there was none. The document stays, as the vector does where a document is deleted. */
  async deleteEmbedding(namespace: string, key: string): Promise<Written> {
    names(namespace, key)
    return this.embeddings.remove(namespace, key)
  }

  /** Of which kind the vectors of a namespace are; null where there are none. */
  async embeddingInfo(namespace: string): Promise<EmbeddingInfo | null> {
    checkNamespace(namespace)
    return this.ask('nearWhat', namespace)
  }

  /** The nearest to a vector, or to a text, best first: as many as asked for wherever there are so many that pass. */
  async search(namespace: string, vector: Embeddable, options: SearchOptions = {}): Promise<SearchHits> {
    checkNamespace(namespace)
    return this.embeddings.search(namespace, vector, options)
  }

  /** Chunks of documents that fit a question. @internal */
  passages<Row>(question: object, vector?: Float32Array): Promise<Row[]> {
    return this.ask('retrieve', question, vector)
  }

  async createIndex(namespace: string, path: string): Promise<void> {
    checkNamespace(namespace)
    checkText('the path', path)
    return this.ask('createIndex', { namespace, path })
  }

  async dropIndex(namespace: string, path: string): Promise<void> {
    checkNamespace(namespace)
    checkText('the path', path)
    return this.ask('dropIndex', { namespace, path })
  }

  async indexes(namespace: string): Promise<string[]> {
    checkNamespace(namespace)
    return this.ask('indexes', namespace)
  }

  /** Keeps the answer of a query up to date under a name. */
  async createView(name: string, namespace: string, query: Query = {}): Promise<void> {
    checkText('the name of the view', name)
    return this.ask('createView', { name, query: question(namespace, query) })
  }

  async view<Row = { key: string; value: unknown; version: string; time: number }>(
    name: string,
  ): Promise<QueryResult<Row>> {
    checkText('the name of the view', name)
    return this.ask('view', name)
  }

  views(): Promise<{ name: string; query: Query & { namespace: string } }[]> {
    return this.ask('views', null)
  }

  async dropView(name: string): Promise<void> {
    checkText('the name of the view', name)
    return this.ask('dropView', name)
  }

  /** What happens from now on, or from behind a moment. Ends with `close`, or when the loop is left. */
  watch(options: WatchOptions = {}): AsyncIterableIterator<Event> {
    checkOptions('watch', options, WATCH)
    const { since, ...rest } = options
    const wanted = toJson({ ...rest, since: some('since', since) }, 'watch')
    const open = (wake: () => void) => coded(() => this.handle.watch(wanted, wake))
    const watch = new Watch(open, () => this.watches.delete(watch))
    this.watches.add(watch)
    return watch
  }

  /** What is kept of a namespace's history, over what is kept of all; `{}` keeps all. */
  async retain(namespace: string, retention: Retention): Promise<void> {
    checkNamespace(namespace)
    checkRetention(retention)
    return this.ask('retain', { namespace, retention })
  }

  /** Gives up what no retention keeps, and its room on the disk. Resolves to the number of versions. */
  compact(): Promise<number> {
    return this.ask('compact', null)
  }

  stats(): Promise<Stats> {
    return this.ask('stats', null)
  }

  /** Reads everything. No problems: all is as it was written. */
  verify(): Promise<{ documents: number; versions: number; problems: string[] }> {
    return this.ask('verify', null)
  }

  /** All that was written is on the disk, whatever the durability. */
  sync(): Promise<void> {
    return this.ask('sync', null)
  }

  /** Copies all as it is now into a new folder, which is a store itself. */
  async backup(path: string): Promise<{ documents: number; versions: number }> {
    checkText('the folder of the backup', path)
    return this.ask('backup', path)
  }

  /** Writes a line of JSON for each document, or each version. */
  async export(
    path: string,
    options: { namespace?: string; history?: boolean } = {},
  ): Promise<{ documents: number; versions: number }> {
    checkText('the path', path)
    checkOptions('export', options, EXPORT)
    return this.ask('export', { path, ...options })
  }

  /** Writes what an export has, as new versions of now. Where a line cannot be read, nothing is written. */
  async import(path: string): Promise<{ documents: number; versions: number }> {
    checkText('the path', path)
    return this.ask('import', path)
  }

  /** Running calls end first, later ones fail with `CLOSED`. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async end(): Promise<void> {
    for (const watch of this.watches) await watch.return()
    // A write of nothing: behind it all that was asked for before is done.
    await this.writes.add('[]').catch(() => {})
    await this.embeds.settled()
    await coded(() => this.handle.close())
    if (this.temporary) await rm(this.path, { recursive: true, force: true })
  }

  private async ask<Answer>(what: string, question: unknown, vector?: Float32Array): Promise<Answer> {
    const text = toJson({ [what]: question }, 'question')
    const { handle } = this
    return JSON.parse(await coded(() => (vector ? handle.askNear(text, vector) : handle.ask(text)))) as Answer
  }

  private lineage(cause: Cause, options: LineageOptions, effects: boolean): Promise<Kin[]> {
    checkOptions('a cause', cause, CAUSE)
    names(cause.namespace, cause.key)
    checkOptions('lineage', options, LINEAGE)
    return this.ask('lineage', { ...cause, ...options, effects })
  }

  /** A question about one document: where it is not there, names near it are told. */
  private async found<Answer>(namespace: string, key: string, what: string, rest: object): Promise<Answer> {
    names(namespace, key)
    try {
      return await this.ask(what, { namespace, key, ...rest })
    } catch (error) {
      throw (error as EngineError).code === 'KEY_NOT_FOUND' ? await this.notFound(namespace, key) : error
    }
  }

  private async notFound(namespace: string, key: string): Promise<KeyNotFoundError> {
    return new KeyNotFoundError(namespace, key, await this.suggestions(namespace, key))
  }
}

function names(namespace: string, key: string): string {
  checkNamespace(namespace)
  checkName('key', key, 1024)
  return `${namespace}\0${key}`
}

/** Operations as the engine reads them. */
function textOf(operations: readonly Operation[]): string {
  const text = JSON.stringify(operations.map(operation))
  if (mayHaveHalves(text)) for (const { value } of operations) refuseHalves(value)
  return text
}

const CONFIG: Known<Config> = {
  ...{ path: 'any', durability: ['sync', 'batch'], batchMs: 'any', memoryBytes: 'any', diskBytes: 'any' },
  ...{ valueBytes: 'any', changesKept: 'any', repair: 'any', retention: 'any', vectors: 'any' },
}
const RETENTION: Known<Retention> = { versions: 'any', ageMs: 'any' }
const VECTORS: Known<NonNullable<Config['vectors']>> = { storage: ['f32', 'f16', 'i8'], maxBytes: 'any' }
const GET_MANY: Known<{ at?: Moment }> = { at: 'any' }
const HISTORY: Known<HistoryOptions> = { limit: 'any', from: 'any', to: 'any', values: 'any' }
const CAUSE: Known<Cause> = { namespace: 'any', key: 'any', version: 'any' }
const LINEAGE: Known<LineageOptions> = { depth: 'any', limit: 'any' }
const LIST: Known<ListOptions> = { prefix: 'any', after: 'any', limit: 'any' }
const QUERY: Known<Query> = {
  ...{ prefix: 'any', filter: 'any', select: 'any', sort: 'any', offset: 'any', limit: 'any' },
  ...{ after: 'any', asOf: 'any', aggregate: 'any', groupBy: 'any' },
}
const WATCH: Known<WatchOptions> = { namespace: 'any', prefix: 'any', filter: 'any', since: 'any' }
const EXPORT: Known<{ namespace?: string; history?: boolean }> = { namespace: 'any', history: 'any' }
const DELETE_OPTIONS: Known<Omit<PutOptions, 'ttlMs'>> = { ifVersion: 'any', causes: 'any' }
const PUT_OPTIONS: Known<PutOptions> = { ...DELETE_OPTIONS, ttlMs: 'any' }

const OPERATION: Known<Operation> = { ...PUT_OPTIONS, namespace: 'any', key: 'any', value: 'any' }

/** A mistyped value would be none, and delete; so would one that is there and undefined. */
function checkOperation(operation: Operation): void {
  checkOptions('an operation', operation, OPERATION)
  if ('value' in operation) defined(operation.value)
}

/** An operation as the engine reads it. */
function operation({ namespace, key, value, ifVersion, ttlMs, causes }: Operation): object {
  names(namespace, key)
  // JSON would make none of some, and of others that there must be nothing yet.
  if (ifVersion !== undefined && ifVersion !== null && typeof ifVersion !== 'string') {
    const what = 'give the id of a version, or null where there must be none'
    throw new EngineError('INVALID_INPUT', `ifVersion is ${quote(ifVersion)}; ${what}`)
  }
  if (ttlMs !== undefined) checked(ttlMs, 'ttlMs')
  if (causes !== undefined) checked(causes, 'causes')
  if (value === undefined) return { delete: { namespace, key, ifVersion, ttlMs, causes } }
  return { put: { namespace, key, value: checked(value), ifVersion, ttlMs, causes } }
}

function checkRetention(retention: Retention): void {
  checkOptions('a retention', retention, RETENTION)
  for (const [name, least] of [
    ['versions', 1],
    ['ageMs', 0],
  ] as const) {
    const value = retention[name]
    if (value === undefined || value === null || (Number.isFinite(value) && value >= least)) continue
    throw new EngineError('INVALID_INPUT', `${name} is ${quote(value)}; it must be a number from ${least}`)
  }
}

function noEntry(what: string, given: unknown): EngineError {
  return new EngineError('INVALID_INPUT', `${what} is ${quote(given)}; give a list of [key, value]`)
}

/** A put of nothing would be a delete. */
function defined(value: unknown): unknown {
  return value === undefined ? checked(value) : value
}

function version(outcome: Outcome | undefined): Written {
  if (!outcome?.[0]) return null
  // An id begins with its stamp.
  return { version: outcome[0], time: Number.parseInt(outcome[0].slice(0, 14), 16) / 1000, previous: outcome[1] }
}

const some = (name: string, at: Moment | undefined) => (at === undefined ? undefined : moment(name, at))

function question(namespace: string, given: Query): object {
  checkNamespace(namespace)
  checkOptions('a query', given, QUERY)
  const { asOf, ...query } = given
  return { namespace, ...query, ...(asOf === undefined ? {} : { asOf: moment('asOf', asOf) }) }
}
