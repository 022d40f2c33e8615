/** The library's database behind a config node: opened for its first user, shared, closed behind the last. */
import { join, resolve } from 'node:path'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { Lent } from '../shared/lent'
import { type Host, stateOf } from '../shared/node'
import type { Link } from '../shared/running'
import { keyPage, type View, view } from './browsing'
import { Database } from './lib'
import type { StoreConfig } from './store.config'

const DEFAULT_PATH = join('millrace', 'memory')
const MB = 1 << 20
/** After a failure it is seen whether the store goes on, but not with every message. */
const REOPEN_MS = 5000
const HOUR_MS = 3_600_000
/** So many names are offered at once. */
const OFFERED = 50

export class StoreHost {
  private readonly lent: Lent<Database>
  private lookedAt = Number.NEGATIVE_INFINITY
  private closed = false
  private tidying: NodeJS.Timeout | undefined

  constructor(
    config: StoreConfig,
    private readonly userDir: string,
  ) {
    const path = this.below(config.path || DEFAULT_PATH)
    const { durability, memoryMb, vectors, diskMb, keepHours } = config
    const limit = diskMb === null ? {} : { diskBytes: diskMb * MB }
    const open = async () => {
      const kept = { memoryBytes: memoryMb * MB, vectors: { storage: vectors } }
      const history = keepHours === null ? {} : { retention: { ageMs: keepHours * HOUR_MS } }
      const db = await Database.open({ path, durability, ...kept, ...limit, ...history })
      if (keepHours !== null) this.tidyUp(db, keepHours * HOUR_MS)
      return db
    }
    this.lent = new Lent('store', open, (db) => {
      clearInterval(this.tidying)
      return db.close()
    })
  }

  join(): void {
    this.lent.join()
  }

  leave(): void {
    this.lent.leave()
  }

  /** A folder: what is no whole path lies below the user directory. */
  below(path: string): string {
    return resolve(this.userDir, path)
  }

  /** The database, opened where it is not. A failure is that of this call: the next one tries again. */
  database(): Promise<Database> {
    return this.lent.get()
  }

  get link(): Link {
    return this.lent.link
  }

  /** Hears what a call failed with: a store that could not write wants to be opened anew. */
  failed({ code }: EngineError): void {
    const may = code === 'STORE_FAILED' || code === 'DISK_FULL'
    if (!may || this.closed || performance.now() - this.lookedAt < REOPEN_MS) return
    this.lookedAt = performance.now()
    void this.look()
  }

  /** Another file may be what failed, or a limit what was reached: of that it did not end. */
  private async look(): Promise<void> {
    if (this.link.state !== 'open') return
    const db = await this.lent.get()
    await db.sync().catch(({ code }: EngineError) => {
      if (code !== 'CLOSED') this.lent.drop()
    })
  }

  /** Uses the database as one more node does. */
  use<T>(use: (db: Database) => Promise<T>): Promise<T> {
    return this.lent.use(use)
  }

  view(given: Record<string, unknown>): Promise<View> {
    return this.use((db) => view(db, given))
  }

  /** Namespaces that begin so, for the dialogs. */
  namespaces(prefix: string): Promise<string[]> {
    return this.use(async (db) => {
      const { namespaces } = await db.namespaces({ prefix, limit: OFFERED })
      return namespaces.map(({ name }) => name)
    })
  }

  /** Keys that begin so, and those that may be meant. */
  keys(namespace: string, prefix: string): Promise<string[]> {
    return this.use(async (db) => {
      const { keys, near } = await keyPage(db, { namespace, prefix })
      return keys.length > 0 ? keys : near
    })
  }

  /** Gives up what was replaced or deleted longer ago, four times in that time, and once an hour at least. */
  private tidyUp(db: Database, ageMs: number): void {
    let busy = false
    const tidy = async () => {
      if (busy) return
      busy = true
      try {
        await db.compact()
      } catch (error) {
        this.failed(toEngineError(error))
      } finally {
        busy = false
      }
    }
    this.tidying = setInterval(tidy, Math.min(ageMs / 4, HOUR_MS)).unref()
  }

  /** Ends when all is safe. */
  close(): Promise<void> {
    this.closed = true
    return this.lent.close()
  }
}

/** The host behind a store node. */
export function storeOf(host: Pick<Host<Fields>, 'RED' | 'text'>, id: string): StoreHost {
  const store = stateOf<unknown>(host.RED, id)
  if (!(store instanceof StoreHost)) throw new EngineError('INVALID_OPTION', host.text('failure.store'))
  return store
}
