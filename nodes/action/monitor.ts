/** What a `millrace-action-watch` node does between its opening and its close. */
import { join } from 'node:path'
import type { NodeStatus } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { type Rule, Watch, type WatchEvent } from './lib'
import { channelsOf, readRules } from './lib/watch'
import { limitOf } from './limit'
import { Memory } from './memory'
import { Updates } from './updates'
import { measurementOf, type Reading, valueReader } from './values'
import type { watchConfig } from './watch.config'

type WatchHost = Host<(typeof watchConfig)['fields']>

const TIMER_MIN_MS = 10
/** A longer timer fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1

/** The watches of nodes that are being deployed anew, by their ids: their state lives on. */
const kept = new Map<string, { watch: Watch; maxSources: number; history: number }>()

export class Monitor {
  private readonly watch: Watch
  private readonly updates: Updates<Message>
  private readonly memory: Memory | undefined
  private readonly wake: () => void
  private reader: ReturnType<typeof valueReader>
  /** Whether a measurement needs a number. */
  private judges = false
  private timer: NodeJS.Timeout | undefined
  private wakesAt = Number.POSITIVE_INFINITY
  /** Messages whose values come later keep their order. */
  private before: Promise<unknown> = Promise.resolve()
  private closing = false

  constructor(private readonly host: WatchHost) {
    const { config, RED, node } = host
    const { maxSources, history, rules } = config
    // A wrong expression is said now.
    this.reader = valueReader(RED, node, config, channelsOf(rules))
    const before = kept.get(node.id)
    kept.delete(node.id)
    const lives = before?.maxSources === maxSources && before.history === history
    this.watch = lives ? before.watch : new Watch({ maxSources, history })
    const limit = Number(RED.settings.nodeMessageBufferMaxLength) || maxSources
    this.updates = new Updates(config.updateMs, Math.min(limit, maxSources), (message) =>
      this.host.node.send([message]),
    )
    this.memory = config.persist ? new Memory(this.file(), (error) => this.warn(error)) : undefined
    this.wake = host.guard(() => this.tick())
    const events = this.use(rules)
    const state = lives ? null : (before?.watch.state() ?? this.memory?.load())
    if (state) events.push(...this.watch.restore(state))
    // Those that hear of it are there only when all nodes are.
    setImmediate(
      host.guard(() => !this.closing && this.tell(events, (outputs) => this.host.node.send(outputs as never))),
    )
    this.plan()
    this.show()
  }

  input(message: Message, reply: Reply): void | Promise<void> {
    const send = (outputs: unknown[]) => reply.send(outputs)
    if (message.reset !== undefined && message.reset !== false) {
      const source = sourceOf(message.reset)
      return this.inTurn(reply, () => this.tell(this.watch.reset(source), send, message))
    }
    if (message.rules !== undefined) {
      const { rules } = message
      if (!Array.isArray(rules)) {
        throw new EngineError('INVALID_INPUT', `msg.rules is ${quote(rules)}; it must be a list of rules`)
      }
      return this.inTurn(reply, () => this.tell(this.use(rules), send, message))
    }
    if (message.action === 'history') {
      return this.inTurn(reply, () => {
        message.payload = this.view(message.payload)
        send([message])
      })
    }
    const reading = this.reader.read(message)
    if (!(reading instanceof Promise)) return this.inTurn(reply, () => this.measure(message, reading, send))
    // It may fail before its turn comes.
    const settled = Promise.allSettled([reading])
    return this.inTurn(reply, async () => {
      const [result] = await settled
      if (result.status === 'rejected') throw result.reason
      if (!this.closing) this.measure(message, result.value, send)
    })
  }

  /** The history of a source; without one, what there is. */
  view(asked: unknown): unknown {
    const { source } = (asked ?? {}) as { source?: unknown }
    if (typeof source === 'string') return this.watch.history(source, limitOf(asked))
    const { sourceCount, evicted } = this.watch
    return { sources: this.watch.names(), count: sourceCount, evicted, alerts: this.watch.alerts() }
  }

  async close(removed: boolean): Promise<void> {
    this.closing = true
    clearTimeout(this.timer)
    this.updates.close()
    const { watch, memory } = this
    const { maxSources, history } = this.host.config
    if (!removed) kept.set(this.host.node.id, { watch, maxSources, history })
    if (removed) await memory?.remove()
    else await memory?.save(() => watch.state())
  }

  private measure(message: Message, reading: Reading, send: (outputs: unknown[]) => void): void {
    const { source, stamp, values } = reading
    if (this.judges && values.every(Number.isNaN)) {
      const { payload } = message
      const wanted = this.watch.channels.map((channel) => quote(channel || this.host.config.value)).join(', ')
      throw new EngineError('INVALID_INPUT', `no number at ${wanted}: msg.payload is ${quote(payload)}`)
    }
    const events = this.watch.measure(source, values, stamp)
    message.payload = measurementOf(message.payload, reading)
    message.action = 'measurement'
    message.topic = source
    if (this.updates.pass(source, message)) send([message])
    if (events.length > 0) this.tell(events, send, message)
    this.plan()
    this.show()
  }

  /** Rules from now on; what their values need is made ready first, so that a wrong one changes nothing. */
  private use(rows: readonly Partial<Rule>[]): WatchEvent[] {
    const { RED, node, config } = this.host
    const rules = readRules(rows)
    this.reader = valueReader(RED, node, config, channelsOf(rules))
    this.judges = rules.some(({ kind }) => kind !== 'silence')
    return this.watch.setRules(rules)
  }

  private inTurn(reply: Reply, act: () => void | Promise<void>): void | Promise<void> {
    if (!this.reader.waits) {
      act()
      return reply.done()
    }
    const now = this.before.then(act)
    this.before = now.catch(() => {})
    return now.then(() => reply.done())
  }

  /** Lets alerts leave by the second output and clears by the third. */
  private tell(events: readonly WatchEvent[], send: (outputs: unknown[]) => void, cause?: Message): void {
    const messages = events.map(({ kind, alert }) => ({
      ...(cause && { _msgid: cause._msgid }),
      topic: alert.sourceNodeId,
      action: kind,
      payload: alert,
    }))
    const alerts = messages.filter(({ action }) => action === 'alert')
    const clears = messages.filter(({ action }) => action === 'clear')
    if (messages.length > 0) {
      send([null, alerts, clears])
      const { memory, watch } = this
      void memory?.save(() => watch.state())
    }
    this.plan()
    this.show()
  }

  private tick(): void {
    this.timer = undefined
    this.wakesAt = Number.POSITIVE_INFINITY
    this.tell(this.watch.tick(), (outputs) => this.host.node.send(outputs as never))
  }

  /** What is due without a message is told without one. */
  private plan(): void {
    const { dueAt } = this.watch
    if (this.closing || dueAt >= this.wakesAt) return
    clearTimeout(this.timer)
    this.wakesAt = dueAt
    const delay = Math.min(Math.max(Math.ceil(dueAt - performance.now()), TIMER_MIN_MS), TIMER_MAX_MS)
    this.timer = setTimeout(this.wake, delay).unref()
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { active, sourceCount, evicted } = this.watch
    if (active > 0) {
      const isCritical = this.watch.alerts().some(({ severity }) => severity === 'critical')
      const text = this.host.text('status.alerts', { alerts: short(active), sources: short(sourceCount) })
      return { fill: isCritical ? 'red' : 'yellow', shape: 'dot', text }
    }
    if (sourceCount === 0) return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
    const counts = { sources: short(sourceCount), evicted: short(evicted) }
    return {
      fill: 'green',
      shape: 'dot',
      text: this.host.text(evicted > 0 ? 'status.evicted' : 'status.sources', counts),
    }
  }

  private file(): string {
    const { userDir = process.cwd() } = this.host.RED.settings as { userDir?: string }
    return join(userDir, 'millrace', 'action', `${encodeURIComponent(this.host.node.id)}.json`)
  }

  private warn({ message }: Error): void {
    this.host.node.warn(this.host.text('warning.memory', { reason: message }))
  }
}

/** What is to be forgotten: one source, or all. */
function sourceOf(reset: unknown): string | undefined {
  if (reset === true) return undefined
  if (typeof reset === 'string' || typeof reset === 'number') return String(reset)
  throw new EngineError('INVALID_INPUT', `msg.reset is ${quote(reset)}; it must be true, or the name of a source`)
}
