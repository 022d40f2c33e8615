/** What a `millrace-memory-watch` node does between its opening and its close. */
import { join } from 'node:path'
import type { NodeStatus } from 'node-red'
import { type EngineError, toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { Bookmark } from './bookmark'
import { type StoreHost, storeOf } from './host'
import type { Change, Event } from './lib'
import type { watchConfig } from './watch.config'

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 30_000
/** So many leave in one turn of the event loop. */
const TURN = 100

export class Feed {
  private readonly store: StoreHost
  private readonly bookmark: Bookmark | undefined
  private readonly running: Promise<void>
  private events: AsyncIterableIterator<Event> | undefined
  private failure: EngineError | undefined
  private closed = false
  private listening = false
  private wake: (() => void) | undefined
  private retryMs = RETRY_MIN_MS
  private heard = 0
  /** Up to where it heard. */
  private last: string | undefined
  private gaps = 0

  constructor(private readonly host: Host<(typeof watchConfig)['fields']>) {
    const { node, config } = host
    this.store = storeOf(host, config.store)
    this.store.join()
    if (config.start === 'resume') {
      const file = this.store.below(join('millrace', 'memory-watch', encodeURIComponent(node.id)))
      this.bookmark = new Bookmark(file, (error) => node.warn(toEngineError(error).message))
    }
    this.show()
    this.running = this.run()
  }

  async close(removed: boolean): Promise<void> {
    this.closed = true
    this.wake?.()
    await this.events?.return?.()
    await this.running
    await this.bookmark?.close(removed)
    this.store.leave()
  }

  /** Never fails: what goes wrong shows at the node. */
  private async run(): Promise<void> {
    while (!this.closed) {
      try {
        await this.listen()
      } catch (error) {
        if (this.closed) return
        this.fail(toEngineError(error))
        if (!this.failure?.retryable && this.failure?.code !== 'CLOSED') return
        await this.rest()
      }
    }
  }

  private async listen(): Promise<void> {
    const { namespace, prefix, filter } = this.host.config
    const db = await this.store.database()
    const since = this.last ?? (await this.bookmark?.load())
    if (this.closed) return
    this.events = db.watch({
      ...(namespace && { namespace }),
      ...(prefix && { prefix }),
      ...(filter && { filter }),
      ...(since !== undefined && { since }),
    })
    this.listening = true
    this.failure = undefined
    this.retryMs = RETRY_MIN_MS
    this.show()
    let time = 0
    let turn = 0
    for await (const event of this.events) {
      // All of one write leave in one turn, so that the bookmark never stands within it.
      if (!('gap' in event) && event.time !== time && ++turn > TURN) {
        turn = 0
        await new Promise(setImmediate)
      }
      if (this.closed) return
      if ('gap' in event) this.tellGap(event.gap)
      else {
        time = event.time
        this.tell(event)
      }
      this.show()
    }
    // The store was closed; it may open again.
    this.listening = false
  }

  private tell({ namespace, key, value, ...version }: Change): void {
    this.heard += 1
    this.host.node.send([{ topic: key, payload: value ?? null, memory: { namespace, key, ...version } }, null])
    this.last = version.version
    this.bookmark?.set(version.version)
  }

  private tellGap([from, to]: [number, number]): void {
    this.gaps += 1
    this.host.node.send([null, { payload: { from, to } }])
  }

  private fail(error: EngineError): void {
    if (!this.failure) this.host.node.error(error)
    this.failure = error
    this.listening = false
    this.show()
  }

  private async rest(): Promise<void> {
    const rest = this.retryMs
    this.retryMs = Math.min(rest * 2, RETRY_MAX_MS)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, rest).unref()
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { failure, host, heard, gaps } = this
    if (failure) {
      return { fill: failure.retryable ? 'yellow' : 'red', shape: 'ring', text: host.text(`error.${failure.code}`) }
    }
    if (!this.listening) return { fill: 'grey', shape: 'ring', text: host.text('status.opening') }
    const text = host.text('status.heard', { heard: short(heard), gaps: short(gaps) })
    return { fill: gaps > 0 ? 'yellow' : 'green', shape: 'dot', text }
  }
}
