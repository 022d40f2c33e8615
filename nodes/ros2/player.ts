/** Plays a recording in time: the clock, the loop and the controls. What becomes of the messages is not its matter. */
import { toEngineError } from '../shared/errors'
import type { Bag, BagMessage, BagProblem } from './lib'

export interface PlayerOptions {
  topics?: readonly string[] | undefined
  /** 0: as fast as the event loop lets it. */
  speed: number
  loop: boolean
  /** Stamps are moved to now, and go on from loop to loop. */
  toNow: boolean
}

export interface Stage {
  /** A message, and by how much its times are moved. */
  play(recorded: BagMessage, shiftNs: bigint): void
  /** A part of the recording was passed over. */
  problem(problem: BagProblem): void
  /** From the beginning again, for the n-th time. */
  looped(loop: number): void
  /** At the end; with an error where it cannot go on. */
  ended(error?: unknown): void
}

/** So many messages, or so long, in one turn of the event loop. */
const TURN = 64
const TURN_MS = 5
/** Between the last message and the first of the next loop, in the time of the recording. */
const LOOP_GAP_NS = 1_000_000_000n
/** A longer timer fires at once; so does a time of day that is looked at again. */
const SLEEP_MAX_MS = 2 ** 30

export class Player {
  /** Messages since the beginning. */
  played = 0
  /** Log time of the latest message, as recorded. */
  atNs: bigint | null = null
  private running = false
  private paused = false
  private steps = 0
  /** Grows when what is under way is of no use any more. */
  private run = 0
  private loops = 0
  /** Of the recording's time in this loop. */
  private loopNs = 0n
  private messages: AsyncGenerator<BagMessage> | undefined
  private wake: () => void = () => {}
  /** This time of the recording is now. Set anew by whatever changes the pace. */
  private anchor: { recordedNs: bigint; ms: number } | undefined
  private shiftNs = 0n
  private lastNs: bigint | undefined
  private speed: number

  constructor(
    private readonly bag: Bag,
    private readonly options: PlayerOptions,
    private readonly stage: Stage,
  ) {
    this.speed = options.speed
  }

  get state(): 'playing' | 'paused' | 'stopped' {
    return !this.running ? 'stopped' : this.paused ? 'paused' : 'playing'
  }

  /** From the beginning, or on from a pause. */
  play(): void {
    this.paused = false
    this.steps = 0
    this.anchor = undefined
    if (this.running) this.wake()
    else this.begin(undefined)
  }

  pause(): void {
    if (!this.running) return
    this.paused = true
    this.wake()
  }

  stop(): void {
    this.run += 1
    this.running = false
    this.paused = false
    this.steps = 0
    this.wake()
  }

  /** One message, and a pause. */
  step(): void {
    this.paused = true
    this.steps += 1
    if (this.running) this.wake()
    else this.begin(undefined)
  }

  /** Goes on from a log time of the recording; one that is paused stays so. */
  seek(toNs: bigint): void {
    const { paused, steps } = this
    this.stop()
    Object.assign(this, { paused, steps })
    this.begin(toNs)
  }

  setSpeed(speed: number): void {
    this.speed = speed
    this.anchor = undefined
    this.wake()
  }

  private begin(fromNs: bigint | undefined): void {
    this.run += 1
    this.running = true
    if (fromNs === undefined) this.played = 0
    this.loops = 0
    this.loopNs = 0n
    this.anchor = undefined
    const { run } = this
    this.work(run, fromNs).catch((error) => {
      if (run !== this.run) return
      this.running = false
      this.stage.ended(toEngineError(error))
    })
  }

  private async work(run: number, fromNs: bigint | undefined): Promise<void> {
    this.open(run, fromNs)
    let recorded = await this.next(run)
    let turn = { left: TURN, until: performance.now() + TURN_MS }
    while (run === this.run && recorded) {
      const wait = this.waitMs(recorded.logNs + this.loopNs)
      if (wait > 0) {
        await this.sleep(wait)
        continue
      }
      if (this.paused) this.steps -= 1
      this.played += 1
      this.atNs = recorded.logNs
      this.lastNs = recorded.logNs + this.loopNs + this.shiftNs
      this.stage.play(recorded, this.options.toNow ? this.loopNs + this.shiftNs : 0n)
      turn.left -= 1
      if (turn.left <= 0 || performance.now() > turn.until) {
        await new Promise((resolve) => setImmediate(resolve))
        turn = { left: TURN, until: performance.now() + TURN_MS }
      }
      if (run === this.run) recorded = await this.next(run)
    }
    if (run !== this.run) return
    this.running = false
    this.stage.ended()
  }

  /** How long until a message is due, ms. */
  private waitMs(recordedNs: bigint): number {
    if (this.paused && this.steps === 0) {
      this.anchor = undefined
      return SLEEP_MAX_MS
    }
    const now = performance.now()
    if (!this.anchor) {
      this.anchor = { recordedNs, ms: now }
      const wanted = BigInt(Math.round((performance.timeOrigin + now) * 1e6))
      // Moved stamps never go back.
      this.shiftNs = (this.lastNs !== undefined && this.lastNs >= wanted ? this.lastNs + 1n : wanted) - recordedNs
    }
    if (this.speed === 0 || this.paused) return 0
    const sinceMs = Number(recordedNs - this.anchor.recordedNs) / 1e6 / this.speed
    return Math.min(this.anchor.ms + sinceMs - now, SLEEP_MAX_MS)
  }

  private open(run: number, fromNs: bigint | undefined): void {
    const { topics } = this.options
    this.messages = this.bag.messages({
      ...(topics && { topics }),
      ...(fromNs !== undefined && { fromNs }),
      onProblem: (problem) => {
        if (run === this.run) this.stage.problem(problem)
      },
    })
  }

  /** Undefined at the end. A recording without messages does not loop. */
  private async next(run: number): Promise<BagMessage | undefined> {
    const { value } = (await this.messages?.next()) ?? {}
    if (value || run !== this.run || !this.options.loop || this.atNs === null) return value ?? undefined
    this.loops += 1
    this.loopNs += (this.bag.endNs ?? 0n) - (this.bag.startNs ?? 0n) + LOOP_GAP_NS
    this.stage.looped(this.loops)
    if (run !== this.run) return undefined
    this.open(run, undefined)
    // A loop in which nothing is found any more would never end.
    return (await this.messages?.next())?.value ?? undefined
  }

  private async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.wake = resolve
      // Timers have whole milliseconds; what is due a little early is not late.
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.wake = () => {}
  }
}
