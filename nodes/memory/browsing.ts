/** What the sidebar shows of a store. All answers are of bounded size, whatever the documents are. */
import { EngineError, quote } from '../shared/errors'
import type { Database, Difference, NamespaceInfo, Stats, Version } from './lib'

/** Names of a page. */
const NAMES = 50
/** Versions of a page. */
const VERSIONS = 20
/** The longest text of a value, and of a part that changed. */
const TEXT = 20_000
const PART_TEXT = 200
const DIFFERENCES = 100

export interface View {
  stats: Stats
  namespaces: NamespaceInfo[]
  /** The `after` of the next page; null: there is none. */
  next: string | null
}

export interface KeyPage {
  keys: string[]
  next: string | null
  /** Where no key begins so: those that may be meant. */
  near: string[]
}

export interface Timeline {
  /** The newest first. */
  versions: { version: string; time: number; deleted: boolean }[]
  /** The `to` of the next page; null: there is none. */
  next: string | null
}

/** A version, and what it changed. */
export interface Shown {
  version: string
  deleted: boolean
  expires: number | null
  text: string
  /** So many characters the whole text has. */
  length: number
  /** Null where there is nothing to compare it with. */
  changes: { op: Difference['op']; path: string; from: string; to: string }[] | null
  changeCount: number
}

type Given = Record<string, unknown>

export async function view(db: Database, { prefix, after }: Given = {}): Promise<View> {
  const [stats, found] = await Promise.all([db.stats(), db.namespaces({ ...pageOf(prefix, after), limit: NAMES })])
  return { stats, ...found }
}

export async function keyPage(db: Database, { namespace, prefix, after }: Given): Promise<KeyPage> {
  const name = textOf(namespace)
  const page = await db.keys(name, { ...pageOf(prefix, after), limit: NAMES })
  const typed = textOf(prefix)
  if (page.keys.length > 0 || page.next !== null || typed === '') return { ...page, near: [] }
  const near = await db.suggestions(name, typed)
  return { ...page, near: near.filter((it) => it.namespace === name).map(({ key }) => key) }
}

export async function timeline(db: Database, { namespace, key, to }: Given): Promise<Timeline> {
  const at = textOf(to)
  const options = { limit: VERSIONS + 1, values: false, ...(at !== '' && { to: at }) }
  const found = await db.history(textOf(namespace), textOf(key), options)
  const versions = found.slice(0, VERSIONS).map(({ version, time, deleted }) => ({ version, time, deleted }))
  return { versions, next: found[VERSIONS]?.version ?? null }
}

export async function shown(db: Database, { namespace, key, version }: Given): Promise<Shown> {
  const [name, document, at] = [textOf(namespace), textOf(key), textOf(version)]
  const [found, before] = await db.history(name, document, { to: at, limit: 2 })
  if (found?.version !== at)
    throw new EngineError('NOT_FOUND', `${quote(document)} has no version ${quote(at)} any more`)
  const text = found.deleted ? '' : JSON.stringify(found.value, null, 2)
  const comparable = before && !before.deleted && !found.deleted
  const all = comparable ? await db.diff(name, document, before.version, at) : null
  return {
    version: at,
    deleted: found.deleted,
    expires: found.expires ?? null,
    text: text.slice(0, TEXT),
    length: text.length,
    changes: all?.slice(0, DIFFERENCES).map(changeOf) ?? null,
    changeCount: all?.length ?? 0,
  }
}

/** Makes an older version the newest again. */
export function restore(db: Database, given: unknown): Promise<Version> {
  const { namespace, key, version } = (given ?? {}) as Given
  if (typeof namespace !== 'string' || typeof key !== 'string' || typeof version !== 'string') {
    throw new EngineError('INVALID_INPUT', `${quote(given)} names no version; give namespace, key and version`)
  }
  return db.restore(namespace, key, version)
}

function changeOf(difference: Difference): { op: Difference['op']; path: string; from: string; to: string } {
  const { op, path } = difference
  const part = (value: unknown) => JSON.stringify(value).slice(0, PART_TEXT)
  return {
    op,
    path,
    from: 'from' in difference ? part(difference.from) : '',
    to: 'value' in difference ? part(difference.value) : '',
  }
}

function pageOf(prefix: unknown, after: unknown): { prefix: string; after?: string } {
  return { prefix: textOf(prefix), ...(textOf(after) !== '' && { after: textOf(after) }) }
}

function textOf(given: unknown): string {
  return typeof given === 'string' ? given : ''
}
