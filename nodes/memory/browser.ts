/** The admin routes behind the memory in the sidebar. */
import type { NodeAPI } from 'node-red'
import { action, lookup } from '../shared/admin'
import { openedBy } from '../shared/node'
import { keyPage, restore, shown, timeline } from './browsing'
import { STORE } from './fields'
import { StoreHost } from './host'
import type { Database } from './lib'

export = (RED: NodeAPI): void => {
  const withStore = async <T>(id: string, use: (db: Database) => Promise<T>): Promise<T | undefined> => {
    const store = openedBy<unknown>(RED, id)
    return store instanceof StoreHost ? store.use(use) : undefined
  }
  lookup(RED, STORE, 'page', (id, given) => withStore(id, (db) => keyPage(db, given)))
  lookup(RED, STORE, 'timeline', (id, given) => withStore(id, (db) => timeline(db, given)))
  lookup(RED, STORE, 'version', (id, given) => withStore(id, (db) => shown(db, given)))
  action(RED, STORE, 'restore', (id, _query, given) => withStore(id, async (db) => restore(db, given)))
}
