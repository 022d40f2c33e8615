/** Another side that does what the test says, and what tests of senders need besides. */
import { EventEmitter, once } from 'node:events'
import { type Delivery, DriverError, type Transport } from '../../nodes/action/lib'

export type Outcome = unknown | Error | (() => Promise<unknown>)

/** The other side, as the test has it: what it answers, in order; after that it takes everything. */
export class Scripted implements Transport {
  readonly calls: { delivery: Delivery; attempt: number; at: number }[] = []
  readonly events = new EventEmitter()
  opens = 0
  closes = 0
  signals: AbortSignal[] = []

  constructor(
    private readonly outcomes: Outcome[] = [],
    private readonly openings: Outcome[] = [],
  ) {}

  async open(signal: AbortSignal): Promise<void> {
    this.opens += 1
    this.signals.push(signal)
    await play(this.openings.shift())
    this.events.emit('open')
  }

  async deliver(delivery: Delivery, attempt: number, signal: AbortSignal): Promise<unknown> {
    this.calls.push({ delivery, attempt, at: performance.now() })
    this.signals.push(signal)
    this.events.emit('call')
    return play(this.outcomes.shift())
  }

  async test(): Promise<string> {
    return 'fine'
  }

  async close(): Promise<void> {
    this.closes += 1
  }

  attempts(): number[] {
    return this.calls.map(({ attempt }) => attempt)
  }

  async until(count: number): Promise<void> {
    while (this.calls.length < count) await once(this.events, 'call', { signal: AbortSignal.timeout(45_000) })
  }
}

async function play(outcome: Outcome): Promise<unknown> {
  if (outcome instanceof Error) throw outcome
  return typeof outcome === 'function' ? outcome() : outcome
}

export const down = () => new DriverError('TRANSPORT', 'it is down', { fault: 'refused' })
export const refused = () => new DriverError('REFUSED', 'no')
export const message = (data: unknown, source?: string): Delivery => ({
  kind: 'message',
  data,
  ...(source && { source }),
})
export const never = () => new Promise<never>(() => {})
/** A promise, and the way to end it. */
export function gate() {
  let open = (_value?: unknown) => {}
  const closed = new Promise<unknown>((resolve) => {
    open = resolve
  })
  return { wait: () => closed, open }
}
export const code = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'delivered',
    (error) => error.code,
  )
