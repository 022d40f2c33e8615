/** What a `millrace-ros2-bag` node does that plays. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { placeOf } from './bag-path'
import type { BagHost } from './bag-session'
import { longType } from './fields'
import {
  type Bag,
  type BagMessage,
  type BagProblem,
  Codec,
  type DefinitionSources,
  Definitions,
  openBag,
  restamped,
  timeOfNs,
} from './lib'
import { HEADER, type Incoming, Payloads } from './payload'
import { Player } from './player'

const CLOCK = '/clock'
const CLOCK_TYPE = 'rosgraph_msgs/msg/Clock'
/** In the time of the recording. */
const CLOCK_EVERY_NS = 25_000_000n
const STATUS_MS = 1000
const CONTROLS = ['play', 'pause', 'stop', 'step'] as const
type Control = (typeof CONTROLS)[number]

export class Playback {
  private bag: Bag | undefined
  private player: Player | undefined
  private failure: EngineError | undefined
  private closed = false
  /** Controls, and the openings that they need, one behind the other. */
  private work: Promise<unknown> = Promise.resolve()
  private readonly payloads = new Map<string, Payloads>()
  private headers: Codec | undefined
  private clocks: Codec | undefined
  private clockNs: bigint | undefined
  /** Problems that were told: each kind of a topic once. */
  private readonly told = new Set<string>()
  private errors = 0
  private readonly timer: NodeJS.Timeout
  /** Before all nodes are there, messages would be lost. */
  private readonly started = () => this.queue(() => this.control('play')).catch((error) => this.fail(error))

  constructor(
    private readonly host: BagHost,
    private readonly sources: DefinitionSources,
  ) {
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    if (host.config.start === 'deploy') host.RED.events.once('flows:started', this.started)
    this.show()
  }

  input({ payload, speed, at }: Message, reply: Reply): Promise<void> {
    return this.queue(async () => {
      const control = CONTROLS.find((one) => one === payload)
      const isKnown = control || speed !== undefined || at !== undefined
      if (!isKnown) throw new EngineError('INVALID_INPUT', this.host.text('failure.control', { given: quote(payload) }))
      const newSpeed = speed === undefined ? undefined : this.speedOf(speed)
      if (at !== undefined) await this.seek(at, control)
      else if (control) await this.control(control)
      if (newSpeed !== undefined) this.player?.setSpeed(newSpeed)
      this.show()
      reply.done()
    })
  }

  /** The topics of the recording, for the dialog. */
  async topics(): Promise<string[]> {
    const bag = this.bag ?? (await this.openBag())
    const topics = bag.topics.map(({ topic }) => topic)
    if (bag !== this.bag) await bag.close()
    return [...new Set(topics)].sort()
  }

  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.timer)
    this.host.RED.events.removeListener('flows:started', this.started)
    this.player?.stop()
    await this.work
    await this.bag?.close()
  }

  private queue<T>(act: () => Promise<T>): Promise<T> {
    const now = this.work.then(act)
    this.work = now.catch(() => {})
    return now
  }

  private async control(control: Control): Promise<void> {
    if (control === 'play' || control === 'step') await this.ready()
    this.player?.[control]()
    this.show()
  }

  private async seek(at: unknown, control: Control | undefined): Promise<void> {
    await this.ready()
    const start = this.bag?.startNs ?? 0n
    this.player?.seek(this.timeOf(at, start))
    if (control) this.player?.[control]()
  }

  /** Opens the recording where nothing plays: it may be another one by now. */
  private async ready(): Promise<void> {
    if (this.closed) throw new EngineError('CLOSED', this.host.text('failure.closed'))
    if (this.player && this.player.state !== 'stopped') return
    const before = this.bag
    this.bag = undefined
    this.player = undefined
    await before?.close()
    try {
      const bag = await this.openBag()
      this.bag = bag
      this.player = this.playerOf(bag)
      this.failure = undefined
      this.begun(bag)
    } catch (error) {
      // Whoever asked for it hears of it.
      this.failure = toEngineError(error)
      this.show()
      throw this.failure
    }
  }

  private playerOf(bag: Bag): Player {
    const { topics, speed, loop, stamps, clock } = this.host.config
    const wanted = topics.length > 0 ? topics : bag.topics.map(({ topic }) => topic)
    const played = clock ? wanted.filter((topic) => topic !== CLOCK) : wanted
    return new Player(
      bag,
      { topics: played, speed, loop, toNow: stamps === 'now' },
      {
        play: (recorded, shiftNs) => this.send(recorded, shiftNs),
        problem: (problem) => this.problem(problem),
        looped: (loop) => {
          this.clockNs = undefined
          this.tell({ event: 'loop', loop })
        },
        ended: (error) => {
          if (error) this.fail(error)
          else this.tell({ event: 'end', messages: this.player?.played ?? 0, errors: this.errors })
          this.show()
        },
      },
    )
  }

  private begun(bag: Bag): void {
    this.payloads.clear()
    this.told.clear()
    this.errors = 0
    this.clockNs = undefined
    const topics = bag.topics.map(({ topic, type, count }) => ({ topic, type, count }))
    const times = { startNs: textOf(bag.startNs), endNs: textOf(bag.endNs) }
    this.tell({ event: 'begin', path: this.path(), topics, ...times })
    for (const problem of bag.problems) this.problem(problem)
  }

  private openBag(): Promise<Bag> {
    return openBag(this.path(), this.sources)
  }

  private path(): string {
    return placeOf(this.host.config.path, this.host.RED.settings.userDir)
  }

  /** Nothing may leave here as an exception: it would end the play. */
  private send(recorded: BagMessage, shiftNs: bigint): void {
    const { topic } = recorded
    const complain = (error: unknown) => this.complain(topic, error)
    try {
      if (this.host.config.clock) this.tick(recorded.logNs + shiftNs)
      const payloads = this.payloadsOf(recorded)
      const incoming = this.incomingOf(recorded, payloads, shiftNs)
      const ros2 = {
        type: longType(recorded.type),
        ...payloads.stampNs(incoming),
        receivedNs: String(recorded.logNs + shiftNs),
        publishedNs: String(recorded.publishNs + shiftNs),
      }
      const message: Record<string, unknown> = { topic, payload: undefined, ros2 }
      payloads.put(message, 'payload', incoming, complain)
      this.host.node.send(message)
    } catch (error) {
      complain(error)
    }
  }

  private incomingOf(recorded: BagMessage, { stamp, hasHeader }: Payloads, shiftNs: bigint): Incoming {
    const { int64, arrays } = this.host.config
    const bag = this.bag as Bag
    const cdr = stamp && hasHeader && shiftNs !== 0n ? restamped(recorded.data, stamp, shiftNs) : recorded.data
    let decoded: Record<string, unknown> | undefined
    return {
      cdr,
      get message() {
        decoded ??= bag.decode({ ...recorded, data: cdr }, { int64, arrays })
        return decoded
      },
    }
  }

  private payloadsOf(recorded: BagMessage): Payloads {
    const key = `${recorded.encoding} ${recorded.type}`
    const known = this.payloads.get(key)
    if (known) return known
    const payloads = new Payloads(this.host.config.output, this.definitionsOf(recorded), () => {
      this.headers ??= new Codec(HEADER, new Definitions({ folders: [] }).resolve(HEADER))
      return this.headers
    })
    this.payloads.set(key, payloads)
    return payloads
  }

  /** What cannot be decoded can still leave raw. */
  private definitionsOf(recorded: BagMessage) {
    try {
      return this.bag?.definitions(recorded) ?? null
    } catch {
      return null
    }
  }

  private tick(nowNs: bigint): void {
    if (this.clockNs !== undefined && nowNs - this.clockNs < CLOCK_EVERY_NS && nowNs >= this.clockNs) return
    this.clockNs = nowNs
    const payload = { clock: timeOfNs(nowNs) }
    this.clocks ??= new Codec(CLOCK_TYPE, new Definitions({ folders: [] }).resolve(CLOCK_TYPE))
    const isRaw = this.host.config.output === 'raw'
    const ros2 = { type: CLOCK_TYPE, receivedNs: String(nowNs), publishedNs: String(nowNs) }
    this.host.node.send({ topic: CLOCK, payload: isRaw ? this.clocks.encode(payload) : payload, ros2 } as never)
  }

  private timeOf(at: unknown, start: bigint): bigint {
    if (typeof at === 'string' && /^\d{1,19}$/.test(at)) return BigInt(at)
    if (typeof at === 'number' && at >= 0 && at < 1e9) return start + BigInt(Math.round(at * 1e9))
    throw new EngineError('INVALID_INPUT', this.host.text('failure.at', { given: quote(at) }))
  }

  private speedOf(speed: unknown): number {
    if (typeof speed === 'number' && speed >= 0 && speed <= 1000) return speed
    throw new EngineError('INVALID_INPUT', this.host.text('failure.speed', { given: quote(speed) }))
  }

  private problem({ offset, bytes, error }: BagProblem): void {
    this.report(error, { offset, bytes })
  }

  private complain(topic: string, error: unknown): void {
    const failure = toEngineError(error)
    this.errors += 1
    const kind = `${failure.code} ${topic}`
    if (this.told.has(kind)) return
    this.told.add(kind)
    this.report(failure, { topic })
  }

  /** To the second output where it is wired, and to Catch nodes where it is not. */
  private report(error: EngineError, about: Record<string, unknown>): void {
    if (this.host.wired(1)) this.tell({ event: 'error', code: error.code, reason: error.message, ...about })
    else this.host.node.error(error, about as never)
  }

  private tell(payload: Record<string, unknown>): void {
    this.host.node.send([null, { payload }] as never)
  }

  /** It cannot go on. */
  private fail(error: unknown): void {
    if (this.closed) return
    this.failure = toEngineError(error)
    this.report(this.failure, {})
    this.show()
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { failure, player } = this
    if (failure) return { fill: 'red', shape: 'ring', text: this.host.text(`error.${failure.code}`) }
    const played = short(player?.played ?? 0)
    switch (player?.state) {
      case 'playing':
        return { fill: 'green', shape: 'dot', text: this.host.text('status.playing', { played }) }
      case 'paused':
        return { fill: 'yellow', shape: 'dot', text: this.host.text('status.paused', { played }) }
      case 'stopped':
        return { fill: 'grey', shape: 'dot', text: this.host.text('status.stopped', { played }) }
      default:
        return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
    }
  }
}

function textOf(ns: bigint | null): string | null {
  return ns === null ? null : String(ns)
}
