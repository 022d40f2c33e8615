/** The library's database behind a config node: opened for its first user, shared, closed behind the last. */
import { join, resolve } from 'node:path'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { type Host, stateOf } from '../shared/node'
import { Database, type NamespaceInfo, type Stats } from './lib'
import type { StoreConfig } from './store.config'

/** What is in a store, for the dialogs. */
export interface View {
  stats: Stats
  namespaces: NamespaceInfo[]
}

const DEFAULT_PATH = join('millrace', 'memory')
const MB = 1 << 20
/** A store without users stays so long: a deploy may bring new ones. */
const LINGER_MS = 10_000
/** After a write that failed the store is opened anew, but not with every message. */
const REOPEN_MS = 5000
/** So many names are offered at once. */
const OFFERED = 50

export class StoreHost {
  private readonly path: string
  private users = 0
  private opened: Promise<Database> | undefined
  private openedAt = 0
  /** Each opening waits for the closing before it. */
  private closings: Promise<void> = Promise.resolve()
  private closed = false
  private linger: NodeJS.Timeout | undefined

  constructor(
    private readonly config: StoreConfig,
    private readonly userDir: string,
  ) {
    this.path = this.below(config.path || DEFAULT_PATH)
  }

  join(): void {
    clearTimeout(this.linger)
    this.users += 1
  }

  leave(): void {
    this.users -= 1
    if (this.users === 0 && !this.closed) this.linger = setTimeout(() => this.drop(), LINGER_MS).unref()
  }

  /** A folder: what is no whole path lies below the user directory. */
  below(path: string): string {
    return resolve(this.userDir, path)
  }

  /** The database, opened where it is not. A failure is that of this call: the next one tries again. */
  database(): Promise<Database> {
    if (this.closed) return Promise.reject(new EngineError('CLOSED', 'the store node is closed'))
    this.opened ??= this.open()
    return this.opened
  }

  /** Hears what a call failed with: a store that could not write wants to be opened anew. */
  failed({ code }: EngineError): void {
    const ends = code === 'STORE_FAILED' || code === 'DISK_FULL'
    if (ends && !this.closed && performance.now() - this.openedAt > REOPEN_MS) this.drop()
  }

  view(): Promise<View> {
    return this.ask(async (db) => {
      const [stats, { namespaces }] = await Promise.all([db.stats(), db.namespaces({ limit: OFFERED })])
      return { stats, namespaces }
    })
  }

  /** Namespaces that begin so, for the dialogs. */
  namespaces(prefix: string): Promise<string[]> {
    return this.ask(async (db) => (await db.namespaces({ prefix, limit: OFFERED })).namespaces.map(({ name }) => name))
  }

  /** Keys that begin so, and those that may be meant. */
  keys(namespace: string, prefix: string): Promise<string[]> {
    return this.ask(async (db) => {
      const { keys } = await db.keys(namespace, { prefix, limit: OFFERED })
      if (keys.length > 0 || prefix === '') return keys
      return (await db.suggestions(namespace, prefix)).filter((it) => it.namespace === namespace).map(({ key }) => key)
    })
  }

  /** Ends when all is safe. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.linger)
    this.drop()
    await this.closings
  }

  private async ask<Answer>(question: (db: Database) => Promise<Answer>): Promise<Answer> {
    this.join()
    try {
      return await question(await this.database())
    } finally {
      this.leave()
    }
  }

  private async open(): Promise<Database> {
    try {
      await this.closings
      const { durability, memoryMb, diskMb } = this.config
      const limit = diskMb === null ? {} : { diskBytes: diskMb * MB }
      this.openedAt = performance.now()
      return await Database.open({ path: this.path, durability, memoryBytes: memoryMb * MB, ...limit })
    } catch (error) {
      this.opened = undefined
      throw toEngineError(error)
    }
  }

  private drop(): void {
    const { opened } = this
    this.opened = undefined
    if (!opened) return
    this.closings = opened.then(
      (db) => db.close(),
      // What never opened needs no close.
      () => {},
    )
    // It is told by `close`, where there is one.
    this.closings.catch(() => {})
  }
}

/** The host behind a store node. */
export function storeOf(host: Pick<Host<Fields>, 'RED' | 'text'>, id: string): StoreHost {
  const store = stateOf<unknown>(host.RED, id)
  if (!(store instanceof StoreHost)) throw new EngineError('INVALID_OPTION', host.text('failure.store'))
  return store
}
