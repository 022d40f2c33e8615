/** The admin routes behind the tasks in the sidebar. */
import type { NodeAPI } from 'node-red'
import { action, lookup } from '../shared/admin'
import { openedBy } from '../shared/node'
import { BROKER } from './fields'
import { BrokerHost } from './host'
import type { App } from './lib'
import { act, overview, page } from './overview'

export = (RED: NodeAPI): void => {
  const withApp = async <T>(id: string, use: (app: App) => Promise<T>): Promise<T | undefined> => {
    const broker = openedBy<unknown>(RED, id)
    if (!(broker instanceof BrokerHost)) return undefined
    broker.join()
    try {
      return await use(await broker.app())
    } finally {
      broker.leave()
    }
  }
  lookup(RED, BROKER, 'overview', (id) => withApp(id, overview))
  lookup(RED, BROKER, 'failures', (id) => withApp(id, ({ control }) => page(control, 'failure')))
  lookup(RED, BROKER, 'dead', (id, { after }) => withApp(id, ({ control }) => page(control, 'dead', after)))
  action(RED, BROKER, 'act', (id, _query, given) => withApp(id, ({ control }) => act(control, given)))
}
