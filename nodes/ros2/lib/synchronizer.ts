import { type Entry, SyncGroup } from '../../shared/group'
import { engine, native } from '../../shared/native'
import type { MatchingOptions } from '../../shared/options'
import { Codec, type DecodeOptions } from './codec'
import { type Context, Heard, type Received } from './context'
import { type Step, stampSteps } from './stamp'
import type { Matched, Matcher, Qos } from './transport'

export interface SynchronizerOptions extends MatchingOptions, DecodeOptions {
  /** For subscriptions that name none. Default: best effort, keep last, depth 1. */
  qos?: Qos
}

export interface SubscriptionOptions {
  /** Whether a group needs a message of this topic. Default true. */
  required?: boolean
  /** A promise that its stamps are at least so far apart. */
  minPeriodMs?: number | null
}

/** Why messages of a topic are in no group, as `sync.DropReason` has it; `no-stamp`: none could be read. */
export type Left = Record<string, number>

export interface SynchronizerStats {
  received: number
  grouped: number
  groups: number
  buffered: number
  meanSkewMs: number
  maxSkewMs: number
  /** Clock jumps seen, forward ones included. */
  clockJumps: number
  /** The topic whose clock jumped last. */
  lastJump: string | null
  /** Groups that gave way to newer ones before they were handed on. */
  lost: number
}

interface Wanted {
  topic: string
  type: string
  qos: Qos
  codec: Codec
  stamp: Step[] | null
  options: SubscriptionOptions
}

/** So many groups are handed on in one turn of the event loop. */
const TURN = 16

/**
 * Hears several topics and gives what belongs together. Messages are matched in the engine, by the stamp
 * that they carry (see `stampSteps`), or their arrival where their type has none; what finds no partner never
 * gets here.
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
  private readonly options: MatchingOptions
  private readonly decoding: DecodeOptions
  private readonly qos: Qos
  private matcher: Matcher | undefined
  private callback: ((group: SyncGroup<Received>) => void) | undefined
  private due: NodeJS.Timeout | undefined
  private draining = false

  constructor(
    private readonly context: Context,
    { qos = {}, int64, arrays, ...options }: SynchronizerOptions = {},
  ) {
    this.options = options
    this.decoding = { ...(int64 && { int64 }), ...(arrays && { arrays }) }
    this.qos = qos
  }

  /** Adds a topic. All have to be added before `onSynchronized`. */
  addSubscription(type: string, topic: string, qos: Qos = this.qos, options: SubscriptionOptions = {}): void {
    const definitions = this.context.definitions.resolve(type)
    const codec = new Codec(type, definitions, this.decoding)
    this.wanted.push({ topic, type, qos, codec, stamp: stampSteps(definitions), options })
  }

  /** Starts; `callback` gets every group. Its messages are decoded when they are first asked for. */
  onSynchronized(callback: (group: SyncGroup<Received>) => void): void {
    this.callback = callback
    if (this.matcher) return
    const options = {
      subscriptions: this.wanted.map(({ topic, type, qos }) => ({ topic, type, qos })),
      stamps: this.wanted.map(({ stamp }) => stamp),
      sync: { ...this.options, topics: this.wanted.map(({ topic, options }) => ({ name: topic, ...options })) },
    }
    this.matcher = this.context.synchronize(options, () => this.drain())
    this.drain()
  }

  /** Since it started. */
  stats(): SynchronizerStats {
    const counts = this.ask((it) => it.stats())
    const { received = 0, grouped = 0, groups = 0, buffered = 0, clockJumps = 0 } = counts ?? {}
    const { meanSkew = 0, maxSkew = 0, lastJump } = counts ?? {}
    return {
      ...{ received, grouped, groups, buffered, clockJumps },
      ...{ meanSkewMs: meanSkew / 1e6, maxSkewMs: maxSkew / 1e6 },
      lastJump: lastJump == null ? null : this.nameOf(lastJump),
      lost: this.ask((it) => it.lost()) ?? 0,
    }
  }

  /** By topic, how many messages left without a group since it started, and why. */
  left(): Record<string, Left> {
    const reasons = [...native().syncProtocol().reasons, 'no-stamp']
    const counts = this.ask((it) => it.left())
    return Object.fromEntries(
      this.wanted.map(({ topic }, place) => {
        const named = reasons.map((reason, number) => [reason, counts?.[place]?.[number] ?? 0] as const)
        return [topic, Object.fromEntries(named.filter(([, count]) => count > 0))]
      }),
    )
  }

  /** The topics that a stall waits for: once a stall, when `stallMs` have passed. */
  stall(): string[] | null {
    return this.ask((it) => it.stall())?.map((topic) => this.nameOf(topic)) ?? null
  }

  async close(): Promise<void> {
    const { matcher } = this
    this.matcher = undefined
    clearTimeout(this.due)
    await matcher?.close()
  }

  /** Undefined before it starts, and when it is closed. */
  private ask<T>(question: (matcher: Matcher) => T): T | undefined {
    const { matcher } = this
    return matcher && engine(() => question(matcher))
  }

  private nameOf(topic: number): string {
    return this.wanted[topic]?.topic ?? ''
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
