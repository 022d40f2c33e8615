import { type Entry, SyncGroup } from '../../shared/group'
import { engine } from '../../shared/native'
import { Codec, isHeaderFirst } from './codec'
import { type Context, Heard, type Received } from './context'
import type { Matched, Matcher, Qos } from './transport'

export interface SynchronizerOptions {
  /** The largest spread of a group, ms; `null`: any. Default 50. */
  windowMs?: number | null
  /** Messages kept per topic, and complete groups kept until they are handed on. Default 64. */
  bufferSize?: number
  match?: 'nearest' | 'oldest'
  drop?: 'drop-oldest' | 'reject-new'
  timeoutMs?: number | null
  maxDelayMs?: number | null
  /** For subscriptions that name none. Default: best effort, keep last, depth 1. */
  qos?: Qos
}

export interface SynchronizerStats {
  received: number
  grouped: number
  groups: number
  buffered: number
  meanSkewMs: number
  maxSkewMs: number
  /** Groups that gave way to newer ones before they were handed on. */
  lost: number
}

interface Wanted {
  topic: string
  type: string
  qos: Qos
  codec: Codec
  stamped: boolean
}

/** So many groups are handed on in one turn of the event loop. */
const TURN = 16

/**
 * Hears several topics and gives what belongs together. Messages are matched in the engine, by the
 * stamp of their header, or their arrival where they have none; what finds no partner never gets here.
 *
 * ```ts
 * const cameras = new ros2.Synchronizer(context, { windowMs: 20 })
 * cameras.addSubscription('sensor_msgs/msg/Image', '/left')
 * cameras.addSubscription('sensor_msgs/msg/Image', '/right')
 * cameras.onSynchronized((group) => use(group.get('/left')?.message, group.get('/right')?.message))
 * ```
 */
export class Synchronizer {
  private readonly wanted: Wanted[] = []
  private readonly options: Omit<SynchronizerOptions, 'qos'>
  private readonly qos: Qos
  private matcher: Matcher | undefined
  private callback: ((group: SyncGroup<Received>) => void) | undefined
  private due: NodeJS.Timeout | undefined
  private draining = false

  constructor(
    private readonly context: Context,
    { qos = {}, ...options }: SynchronizerOptions = {},
  ) {
    this.options = options
    this.qos = qos
  }

  /** Adds a topic. All have to be added before `onSynchronized`. */
  addSubscription(type: string, topic: string, qos: Qos = this.qos): void {
    const definitions = this.context.definitions.resolve(type)
    this.wanted.push({ topic, type, qos, codec: new Codec(type, definitions), stamped: isHeaderFirst(definitions) })
  }

  /** Starts; `callback` gets every group. Its messages are decoded when they are first asked for. */
  onSynchronized(callback: (group: SyncGroup<Received>) => void): void {
    this.callback = callback
    if (this.matcher) return
    const options = {
      subscriptions: this.wanted.map(({ topic, type, qos }) => ({ topic, type, qos })),
      stamped: this.wanted.map(({ stamped }) => stamped),
      sync: { ...this.options, topics: this.wanted.map(({ topic }) => ({ name: topic })) },
    }
    this.matcher = this.context.synchronize(options, () => this.drain())
    this.drain()
  }

  stats(): SynchronizerStats {
    const { matcher } = this
    if (!matcher) {
      return { received: 0, grouped: 0, groups: 0, buffered: 0, meanSkewMs: 0, maxSkewMs: 0, lost: 0 }
    }
    const { received, grouped, groups, buffered, meanSkew, maxSkew } = engine(() => matcher.stats())
    const skews = { meanSkewMs: meanSkew / 1e6, maxSkewMs: maxSkew / 1e6 }
    return { received, grouped, groups, buffered, ...skews, lost: engine(() => matcher.lost()) }
  }

  async close(): Promise<void> {
    const { matcher } = this
    this.matcher = undefined
    clearTimeout(this.due)
    await matcher?.close()
  }

  private drain(): void {
    const { matcher } = this
    if (!matcher || this.draining) return
    const { groups, more } = engine(() => matcher.take(TURN))
    for (const group of groups) this.callback?.(this.groupOf(group))
    if (more) {
      // Others get their turn before the rest.
      this.draining = true
      setImmediate(() => {
        this.draining = false
        this.drain()
      })
    }
    this.wait()
  }

  /** Groups that `maxDelayMs` lets go leave without a message that brings them out. */
  private wait(): void {
    const { matcher } = this
    clearTimeout(this.due)
    if (!matcher || (this.options.maxDelayMs ?? null) === null) return
    const ms = engine(() => matcher.dueInMs()) ?? this.options.maxDelayMs ?? 0
    this.due = setTimeout(() => this.drain(), Math.ceil(ms)).unref()
  }

  private groupOf({ samples, stamps }: Matched): SyncGroup<Received> {
    const entries = new Map<string, Entry<Received>>()
    this.wanted.forEach(({ topic, codec }, place) => {
      const [sample, timestampNs] = [samples[place], stamps[place]]
      if (!sample || timestampNs == null) return
      entries.set(topic, { topic, timestampNs, message: new Heard(codec, sample) })
    })
    return new SyncGroup(entries)
  }
}
