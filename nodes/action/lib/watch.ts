/**
 * Turns measurements into alerts: one when a rule begins to hold, one clear with the same id when it ends.
 *
 * Time is the time of arrival, on a clock of its own that never jumps (`now`, ms). Only the change per second is
 * reckoned with the stamps of the measurements. Nothing here has a timer: who owns a watch calls `tick` when `dueAt`
 * has come, which raises what lasted long enough, what fell silent, and reminders.
 */
import { randomUUID } from 'node:crypto'
import { Problem } from '../../shared/config'
import { EngineError, quote } from '../../shared/errors'
import { Ring, type Stats, statsOf } from './history'
import { type AlertType, concerns, distinctRules, excess, type Rule, readRule, type Severity } from './rules'
import { fill } from './template'

/** What an instrument says, as it leaves a watch and reaches a driver. */
export interface Measurement {
  sourceNodeId: string
  /** Epoch ms. */
  timestamp: number
  value?: number
  metadata?: unknown
  [field: string]: unknown
}

export interface Alert {
  alertType: AlertType
  severity: Severity
  message: string
  data: {
    /** The value that the rule judged; of `rate` the change per second, of `silence` the ms without data. */
    value: number | null
    limit: number | [low: number, high: number]
    rule: string
    /** For so long, ms, has the rule held. */
    duration: number
    /** Of `deviation`. */
    reference?: number
  }
  sourceNodeId: string
  /** Epoch ms. */
  timestamp: number
  alertId: string
  /** How often it was told again. */
  reminder?: number
}

export interface Clear extends Alert {
  /** `ended`: the value is back; `reset`; `rule`: the rule has gone; `evicted`: too many newer sources came. */
  reason: 'ended' | 'reset' | 'rule' | 'evicted'
}

export type WatchEvent = { kind: 'alert'; alert: Alert } | { kind: 'clear'; alert: Clear }

export interface WatchOptions {
  rules?: readonly Partial<Rule>[]
  /** Of so many sources is the state kept; the one that was silent for longest gives way. Default 10,000. */
  maxSources?: number
  /** So many values of each source are kept. Default 100. */
  history?: number
  /** ms, never going back. */
  now?: () => number
}

export interface HistoryView {
  sourceNodeId: string
  /** Newest first. */
  entries: { value: number; timestamp: number }[]
  stats: Stats | null
}

/** What of a watch is worth keeping over a restart. Times are epoch ms. */
export interface WatchState {
  version: 1
  sources: { name: string; rules: { name: string; kind: string; since: number; alert: Alert }[] }[]
}

interface Compiled {
  rule: Rule
  /** The place of its value in `measure`. */
  channel: number
  concerns: (source: string) => boolean
}

/** What is known of a rule at a source. */
interface State {
  /** What it judged last. */
  value: number
  /** The rule began to hold then; NaN while it does not. */
  since: number
  quietUntil: number
  alert: Alert | null
  remindAt: number
  /** For the change per second. */
  before: number
  beforeStamp: number
}

interface Source {
  name: string
  seenAt: number
  rules: Compiled[]
  states: State[]
  values: Ring<number>
  stamps: Ring<number>
}

const NOTHING: readonly WatchEvent[] = []

export class Watch {
  /** Where values are found, in the order in which `measure` wants them; '' is the watch's own place. */
  channels: readonly string[] = ['']
  /** Sources that gave way to newer ones. */
  evicted = 0
  private rules: Compiled[] = []
  /** The one that was silent for longest is the first. */
  private readonly sources = new Map<string, Source>()
  private readonly now: () => number
  private readonly maxSources: number
  private readonly capacity: number
  private due = Number.POSITIVE_INFINITY
  private activeCount = 0

  constructor({ rules = [], maxSources = 10_000, history = 100, now = () => performance.now() }: WatchOptions = {}) {
    this.now = now
    this.maxSources = whole('maxSources', maxSources, 1)
    this.capacity = whole('history', history, 0)
    this.setRules(rules)
  }

  /**
   * Takes new rules; one that still has its name, kind and property keeps its state. Returns the clears of the alerts whose
   * rules have gone.
   */
  setRules(rows: readonly Partial<Rule>[]): WatchEvent[] {
    const rules = readRules(rows)
    this.channels = channelsOf(rules)
    this.rules = rules.map((rule) => ({
      rule,
      channel: this.channels.indexOf(channelOf(rule)),
      concerns: concerns(rule.source),
    }))
    const now = this.now()
    const events: WatchEvent[] = []
    for (const source of this.sources.values()) {
      const before = source.rules.map(({ rule }, place) => ({ rule, state: source.states[place] as State }))
      this.equip(source, now)
      const taken = source.rules.map(({ rule }, place) => {
        const old = before.find((one) => isSame(one.rule, rule))
        if (!old) return undefined
        source.states[place] = old.state
        if (old.state.alert) old.state.remindAt = now + (rule.remindMs ?? Number.POSITIVE_INFINITY)
        return old
      })
      for (const old of before) if (!taken.includes(old)) this.end(events, source, old.rule, old.state, 'rule', now)
    }
    // A source that is named, and never says anything, is silent too.
    for (const { rule } of this.rules) {
      if (rule.kind === 'silence' && rule.source !== '' && !rule.source.includes('*')) this.find(rule.source, events)
    }
    this.due = now
    return events
  }

  /**
   * Takes a measurement: a value for each of `channels`, NaN where there is none. Returns what it brings about.
   */
  measure(name: string, values: ArrayLike<number>, stamp: number): readonly WatchEvent[] {
    const now = this.now()
    let events: WatchEvent[] | undefined
    let source = this.sources.get(name)
    if (source) {
      // To the end of the order.
      this.sources.delete(name)
      this.sources.set(name, source)
    } else {
      events = []
      source = this.find(name, events)
    }
    source.seenAt = now
    const main = values[0] as number
    if (!Number.isNaN(main)) {
      source.values.push(main)
      source.stamps.push(stamp)
    }
    const { rules, states } = source
    for (let place = 0; place < rules.length; place += 1) {
      const { rule, channel } = rules[place] as Compiled
      const state = states[place] as State
      if (rule.kind === 'silence') {
        if (state.alert) events = this.end(events ?? [], source, rule, state, 'ended', now)
        continue
      }
      let value = values[channel] as number
      if (rule.kind === 'rate') value = changeOf(state, value, stamp)
      // There is none, or it is none.
      if (Number.isNaN(value)) continue
      events = this.judge(events, source, rule, state, value, now)
    }
    return events ?? NOTHING
  }

  /** When `tick` has something to do, at the earliest; on the clock of `now`. */
  get dueAt(): number {
    return this.due
  }

  /** Raises what is due without a measurement. */
  tick(): WatchEvent[] {
    const now = this.now()
    const events: WatchEvent[] = []
    this.due = Number.POSITIVE_INFINITY
    for (const source of this.sources.values()) {
      for (let place = 0; place < source.rules.length; place += 1) {
        const { rule } = source.rules[place] as Compiled
        const state = source.states[place] as State
        if (rule.kind === 'silence' && !state.alert) {
          state.value = now - source.seenAt
          state.since = source.seenAt
        }
        if (Number.isNaN(state.since)) continue
        if (!state.alert) this.raiseIfDue(events, source, rule, state, now)
        else if (now >= state.remindAt) this.remind(events, rule, state, now)
        if (state.alert) this.due = Math.min(this.due, state.remindAt)
      }
    }
    return events
  }

  /** Forgets a source, or all; their alerts end. */
  reset(name?: string): WatchEvent[] {
    const events: WatchEvent[] = []
    for (const source of name === undefined ? [...this.sources.values()] : [this.sources.get(name)]) {
      if (!source) continue
      this.forget(events, source, 'reset')
    }
    // Those that are named are watched on.
    this.setRules(this.rules.map(({ rule }) => rule))
    return events
  }

  /** Alerts that last. */
  get active(): number {
    return this.activeCount
  }

  get sourceCount(): number {
    return this.sources.size
  }

  /** Names of the sources, the latest first. */
  names(): string[] {
    return [...this.sources.keys()].reverse()
  }

  alerts(): Alert[] {
    return [...this.sources.values()].flatMap(({ states }) => states.flatMap(({ alert }) => alert ?? []))
  }

  history(name: string, limit?: number): HistoryView {
    const source = this.sources.get(name)
    const stamps = source?.stamps.newest(limit) ?? []
    const values = source?.values.newest(limit) ?? []
    return {
      sourceNodeId: name,
      entries: values.map((value, place) => ({ value, timestamp: stamps[place] as number })),
      stats: statsOf(source?.values.newest() ?? []),
    }
  }

  /** What `restore` takes. */
  state(): WatchState {
    const wall = Date.now() - this.now()
    const sources = [...this.sources.values()].flatMap(({ name, rules, states }) => {
      const kept = states.flatMap(({ alert, since }, place) => {
        const { rule } = rules[place] as Compiled
        return alert ? [{ name: rule.name, kind: rule.kind, since: since + wall, alert }] : []
      })
      return kept.length > 0 ? [{ name, rules: kept }] : []
    })
    return { version: 1, sources }
  }

  /** Takes the alerts of a watch that was before; of rules that are no more it returns the clears. */
  restore({ sources }: WatchState): WatchEvent[] {
    const now = this.now()
    const wall = Date.now() - now
    const events: WatchEvent[] = []
    for (const { name, rules } of sources) {
      const source = this.sources.get(name) ?? this.find(name, events)
      for (const { name: ruleName, kind, since, alert } of rules) {
        const place = source.rules.findIndex(({ rule }) => rule.name === ruleName && rule.kind === kind)
        const state = source.states[place]
        if (!state) {
          events.push(clearOf(alert, 'rule', now - (since - wall)))
          continue
        }
        const { remindMs } = (source.rules[place] as Compiled).rule
        Object.assign(state, { since: since - wall, alert, remindAt: now + (remindMs ?? Number.POSITIVE_INFINITY) })
        this.activeCount += 1
      }
    }
    this.due = now
    return events
  }

  /** The source of this name, made where it is new: then another may have to go. */
  private find(name: string, events: WatchEvent[]): Source {
    const known = this.sources.get(name)
    if (known) return known
    if (this.sources.size >= this.maxSources) {
      const [longest] = this.sources.values()
      if (longest) this.forget(events, longest, 'evicted')
      this.evicted += 1
    }
    const now = this.now()
    const made = { name, seenAt: now, rules: [], states: [] }
    const source: Source = { ...made, values: new Ring(this.capacity), stamps: new Ring(this.capacity) }
    this.equip(source, now)
    this.sources.set(name, source)
    return source
  }

  /** Gives a source the rules that are about it, each in its first state. */
  private equip(source: Source, now: number): void {
    source.rules = this.rules.filter((compiled) => compiled.concerns(source.name))
    source.states = source.rules.map(() => ({
      value: Number.NaN,
      since: Number.NaN,
      quietUntil: Number.NEGATIVE_INFINITY,
      alert: null,
      remindAt: Number.POSITIVE_INFINITY,
      before: Number.NaN,
      beforeStamp: Number.NaN,
    }))
    for (const { rule } of source.rules) if (rule.kind === 'silence') this.due = Math.min(this.due, now + rule.limit)
  }

  private forget(events: WatchEvent[], source: Source, reason: Clear['reason']): void {
    const now = this.now()
    source.rules.forEach(({ rule }, place) => {
      this.end(events, source, rule, source.states[place] as State, reason, now)
    })
    this.sources.delete(source.name)
  }

  private judge(
    events: WatchEvent[] | undefined,
    source: Source,
    rule: Rule,
    state: State,
    value: number,
    now: number,
  ): WatchEvent[] | undefined {
    const over = excess(rule, value)
    state.value = value
    if (state.alert)
      return over <= -rule.hysteresis ? this.end(events ?? [], source, rule, state, 'ended', now) : events
    if (over <= 0) {
      state.since = Number.NaN
      return events
    }
    if (Number.isNaN(state.since)) state.since = now
    const raised = events ?? []
    this.raiseIfDue(raised, source, rule, state, now)
    return raised
  }

  private raiseIfDue(events: WatchEvent[], source: Source, rule: Rule, state: State, now: number): void {
    const lasts = rule.kind === 'silence' ? rule.limit : rule.minDurationMs
    const at = Math.max(state.since + lasts, state.quietUntil)
    if (now < at) {
      this.due = Math.min(this.due, at)
      return
    }
    state.alert = alertOf(source.name, rule, state, now)
    state.remindAt = now + (rule.remindMs ?? Number.POSITIVE_INFINITY)
    this.due = Math.min(this.due, state.remindAt)
    this.activeCount += 1
    events.push({ kind: 'alert', alert: state.alert })
  }

  private remind(events: WatchEvent[], rule: Rule, state: State, now: number): void {
    const { alert } = state
    if (!alert || rule.remindMs === null) return
    const told = alertOf(alert.sourceNodeId, rule, state, now)
    state.alert = { ...told, alertId: alert.alertId, reminder: (alert.reminder ?? 0) + 1 }
    state.remindAt = now + rule.remindMs
    events.push({ kind: 'alert', alert: state.alert })
  }

  private end(
    events: WatchEvent[],
    source: Source,
    rule: Rule,
    state: State,
    reason: Clear['reason'],
    now: number,
  ): WatchEvent[] {
    const { alert, since } = state
    if (!alert) return events
    const value = Number.isNaN(state.value) || rule.kind === 'silence' ? alert.data.value : state.value
    state.alert = null
    state.since = Number.NaN
    state.quietUntil = now + rule.cooldownMs
    state.remindAt = Number.POSITIVE_INFINITY
    this.activeCount -= 1
    if (rule.kind === 'silence') this.due = Math.min(this.due, source.seenAt + rule.limit)
    const ended = { ...alert, data: { ...alert.data, value } }
    events.push(clearOf(ended, reason, now - since))
    return events
  }
}

/** Rules as they were given, checked. */
export function readRules(rows: readonly unknown[]): Rule[] {
  try {
    const rules = rows.map((row, place) => {
      try {
        return readRule(row)
      } catch (error) {
        const { name } = (row ?? {}) as { name?: unknown }
        throw error instanceof Problem
          ? new Problem(error.key, { ...error.params, rule: String(name ?? place + 1) })
          : error
      }
    })
    distinctRules(rules)
    return rules
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const { rule, ...params } = error.params
    const details = Object.entries(params).map(([name, value]) => `${name} ${value}`)
    const problem = [error.key.replace('config.', ''), ...details].join(', ')
    throw new EngineError('INVALID_OPTION', `the rule ${quote(rule)} has a wrong setting: ${problem}; see its help`)
  }
}

/** Where the values are that a watch with these rules wants, in their order. */
export function channelsOf(rules: readonly Rule[]): string[] {
  return [...new Set(['', ...rules.map(channelOf)])]
}

/** Where a rule finds its value. The values of expressions are told from those of properties by their name. */
function channelOf(rule: Rule): string {
  return rule.kind === 'jsonata' ? `jsonata ${rule.property}` : rule.property
}

function isSame(one: Rule, other: Rule): boolean {
  return one.name === other.name && one.kind === other.kind && one.property === other.property
}

function changeOf(state: State, value: number, stamp: number): number {
  if (Number.isNaN(value)) return value
  const seconds = (stamp - state.beforeStamp) / 1000
  // Of one moment, or older than the one before: no change can be told of it.
  if (seconds <= 0) return Number.NaN
  const change = Math.abs(value - state.before) / seconds
  state.before = value
  state.beforeStamp = stamp
  return change
}

const TEXTS: Record<Rule['kind'], string> = {
  above: '{{rule}}: {{value}} of {{source}} is above {{limit}}',
  below: '{{rule}}: {{value}} of {{source}} is below {{limit}}',
  outside: '{{rule}}: {{value}} of {{source}} is outside {{limit}}',
  rate: '{{rule}}: {{source}} changes by {{value}} a second, more than {{limit}}',
  deviation: '{{rule}}: {{value}} of {{source}} is more than {{limit}} from {{reference}}',
  silence: '{{rule}}: no data of {{source}} for {{duration}} ms',
  jsonata: '{{rule}}: holds for {{source}}',
}

function alertOf(source: string, rule: Rule, state: State, now: number): Alert {
  const { name, kind, limit, low, reference, alertType, severity } = rule
  const duration = Math.round(now - state.since)
  const value = kind === 'silence' ? duration : state.value
  const data: Alert['data'] = {
    value: Number.isFinite(value) ? value : null,
    limit: kind === 'outside' ? [low, limit] : limit,
    rule: name,
    duration,
    ...(kind === 'deviation' && { reference }),
  }
  const values = { ...data, source, severity, alertType, limit: kind === 'outside' ? `${low} … ${limit}` : limit }
  return {
    alertType,
    severity,
    message: fill(rule.message || TEXTS[kind], values),
    data,
    sourceNodeId: source,
    timestamp: Date.now(),
    alertId: randomUUID(),
  }
}

function clearOf(alert: Alert, reason: Clear['reason'], duration: number): WatchEvent {
  const data = { ...alert.data, duration: Math.round(duration) }
  return { kind: 'clear', alert: { ...alert, data, timestamp: Date.now(), reason } }
}

function whole(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value
  throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a whole number from ${min}`)
}
