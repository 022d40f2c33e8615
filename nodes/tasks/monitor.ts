/** The admin routes behind the tasks in the sidebar. */
import type { NodeAPI } from 'node-red'
import { action, lookup } from '../shared/admin'
import { openedBy } from '../shared/node'
import { brokerConfig } from './broker.config'
import { BrokerHost } from './host'
import type { App } from './lib'
import { act, overview, page } from './overview'

export = (RED: NodeAPI): void => {
  const { type } = brokerConfig
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
  lookup(RED, type, 'overview', (id) => withApp(id, overview))
  lookup(RED, type, 'failures', (id) => withApp(id, ({ control }) => page(control, 'failure')))
  lookup(RED, type, 'dead', (id, { after }) => withApp(id, ({ control }) => page(control, 'dead', after)))
  action(RED, type, 'act', (id, _query, given) => withApp(id, ({ control }) => act(control, given)))
}
