/** A change feed: a place in the engine's log, read as fast as the loop over it likes. */
import type { MemoryWatcher } from '#native'
import { toEngineError } from '../../shared/errors'
import { Turns } from '../../shared/turns'
import type { Moment, VersionEntry } from './database'

export interface WatchOptions {
  namespace?: string
  /** Keys that begin so. */
  prefix?: string
  /** Values that are so, as in a query. Deletions pass. */
  filter?: Record<string, unknown>
  /** Begin behind this moment; without it, now. */
  since?: Moment
}

/** A version that came to be. */
export interface Change extends VersionEntry {
  namespace: string
  key: string
  /** The version was given up since; only its time is known. */
  lost?: true
}

/** What happened between these times is not in the log any more: the reader was too slow, or began too late. */
export interface Gap {
  gap: [from: number, to: number]
}

export type Event = Change | Gap

/** So many changes cross at once. */
const BATCH = 500

export class Watch implements AsyncIterableIterator<Event> {
  private readonly watcher: Promise<MemoryWatcher>
  private events: Event[] = []
  /** Something may have happened since the last look. */
  private dirty = true
  private wake: (() => void) | undefined
  private ended = false
  /** Calls of `next` wait for each other. */
  private readonly turns = new Turns()

  constructor(
    open: (wake: () => void) => Promise<MemoryWatcher>,
    private readonly onEnd: () => void,
  ) {
    this.watcher = open(() => {
      this.dirty = true
      this.wake?.()
    })
    // Whoever reads gets it; who does not must not end the process.
    this.watcher.catch(() => {})
  }

  next(): Promise<IteratorResult<Event>> {
    return this.turns.take(() => this.step())
  }

  private async step(): Promise<IteratorResult<Event>> {
    try {
      const watcher = await this.watcher
      while (!this.ended) {
        const event = this.events.shift()
        if (event) return { done: false, value: event }
        if (this.dirty) {
          this.dirty = false
          const { events, more } = await watcher.take(BATCH)
          this.dirty ||= more
          this.events = JSON.parse(events) as Event[]
        } else {
          await new Promise<void>((resolve) => {
            this.wake = resolve
          })
        }
      }
    } catch (error) {
      if (!this.ended) {
        await this.return()
        throw toEngineError(error)
      }
    }
    return { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<Event>> {
    if (!this.ended) {
      this.ended = true
      this.onEnd()
      this.wake?.()
      await this.watcher.then(
        (watcher) => watcher.close(),
        () => {},
      )
    }
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
