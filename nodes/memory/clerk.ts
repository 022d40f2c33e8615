/** What a node that asks a store does with each message: reads what is wanted, asks, and passes the answer on. */
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { Turns } from '../shared/turns'
import { type StoreHost, storeOf } from './host'
import { type Database, KeyNotFoundError } from './lib'

/** The work of one kind of node. */
export interface Job<Given> {
  /** What the settings name, off a message. */
  read(message: Message): Given | Promise<Given>
  /** What becomes of the message's properties. */
  run(db: Database, given: Given, store: StoreHost): Promise<Record<string, unknown>>
}

interface Settings {
  store: string
  missing: 'output' | 'error'
}

/** So many messages wait for the store. */
const WAITING_MAX = 10_000
const MISSING = 1
/** What leaves through the second output. */
const NOT_THERE = ['KEY_NOT_FOUND', 'NOT_FOUND', 'CONFLICT']

export class Clerk<Given> {
  private readonly store: StoreHost
  private readonly waitingMax: number
  private waiting = 0
  private done = 0
  private missed = 0
  /** Messages are written in the order in which they came. */
  private readonly turns = new Turns()

  constructor(
    private readonly host: Pick<Host<Fields>, 'RED' | 'text' | 'status' | 'wired'>,
    private readonly settings: Settings,
    private readonly job: Job<Given>,
  ) {
    this.store = storeOf(host, settings.store)
    this.store.join()
    const limit = host.RED.settings.nodeMessageBufferMaxLength
    this.waitingMax = typeof limit === 'number' && limit > 0 ? Math.min(limit, WAITING_MAX) : WAITING_MAX
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    if (this.waiting >= this.waitingMax) throw new EngineError('BUFFER_FULL', this.host.text('failure.waiting'))
    this.waiting += 1
    try {
      const given = await this.turns.take(() => this.job.read(message))
      const answer = await this.job.run(await this.store.database(), given, this.store)
      this.done += 1
      reply.send([Object.assign(message, answer), null])
      reply.done()
    } catch (cause) {
      this.fail(toEngineError(cause), message, reply)
    } finally {
      this.waiting -= 1
      this.show()
    }
  }

  close(): void {
    this.store.leave()
  }

  private fail(error: EngineError, message: Message, reply: Reply): void {
    this.store.failed(error)
    const { code } = error
    if (!NOT_THERE.includes(code)) throw error
    this.missed += 1
    if (this.settings.missing === 'error' || !this.host.wired(MISSING)) throw error
    const suggestions = error instanceof KeyNotFoundError ? error.suggestions : []
    reply.send([null, Object.assign(message, { error: { code, message: error.message, suggestions } })])
    reply.done()
  }

  private show(): void {
    this.host.status(() => {
      const { done, missed } = this
      const text = this.host.text(missed > 0 ? 'status.counts' : 'status.done', {
        done: short(done),
        missed: short(missed),
      })
      return counted(done, text)
    })
  }
}

/** A namespace or a key: a number is taken for its digits. */
export function nameOf(value: unknown): string {
  return typeof value === 'number' ? String(value) : (value as string)
}
