/**
 * What a driver is made of. A transport knows one kind of other side and nothing else; a sender brings deliveries to it
 * (`Delivery` does so at once, with retries); a driver is the face that nodes and scripts use.
 */
import { EngineError, type ErrorCode } from '../../shared/errors'
import type { Seams } from './delivery'
import { Ring, type Stats, statsOf } from './history'
import type { Alert, Clear, Measurement } from './watch'

export type DeliveryKind = 'measurement' | 'alert' | 'clear' | 'message'

/** One thing to bring to the other side. */
export interface Delivery {
  kind: DeliveryKind
  /** A `Measurement`, an `Alert`, a `Clear`, or of a `message` anything. */
  data: unknown
  /** What is of one source arrives in its order. */
  source?: string
}

/** One kind of other side. What it throws should be a `DriverError`, or another `EngineError`. */
export interface Transport {
  /** Makes ready to deliver; called again after it failed. When `signal` is aborted, it has to give up. */
  open(signal: AbortSignal): Promise<void>
  /**
   * Resolves, to what the other side answered, when the other side has it. `attempt` counts from 1. When `signal` is
   * aborted, nobody waits for it any more.
   */
  deliver(delivery: Delivery, attempt: number, signal: AbortSignal): Promise<unknown>
  /** Tries the other side out, apart from all deliveries; resolves to a line that says what was found. */
  test(signal: AbortSignal): Promise<string>
  /** More to say in the driver's status. */
  describe?(): Promise<unknown>
  close(): Promise<void>
}

/** At which step it failed, for the test in the dialog. */
export const faults = [
  'dns',
  'refused',
  'unreachable',
  'timeout',
  'tls',
  'auth',
  'permission',
  'reset',
  'answer',
  'other',
] as const
export type Fault = (typeof faults)[number]

export class DriverError extends EngineError {
  readonly fault: Fault
  /** The other side wants to be left alone for so long, ms. */
  readonly retryAfterMs: number
  /** The delivery itself may be at fault, so that it is not tried for ever, from the disk either. */
  readonly suspect: boolean
  /** How often it was tried. */
  attempts = 0

  constructor(
    code: ErrorCode,
    message: string,
    options: { fault?: Fault; retryAfterMs?: number; suspect?: boolean; cause?: unknown } = {},
  ) {
    const { fault = 'other', retryAfterMs = 0, suspect = false, cause } = options
    super(code, message, { cause })
    this.fault = fault
    this.suspect = suspect
    this.retryAfterMs = retryAfterMs
  }
}

export interface Receipt {
  attempts: number
  /** From the call until the other side had it. */
  latencyMs: number
  /** What the other side answered. */
  result: unknown
  /** It is on the disk, by this number, and will be delivered from there. */
  stored?: number
}

/** What became of a delivery that had its receipt when it was stored. */
export interface Settled {
  delivery: Delivery
  attempts: number
  /** From when it was stored. */
  latencyMs: number
  error: EngineError | null
}

export interface SenderStatus {
  state: 'opening' | 'ready' | 'failed' | 'closed'
  circuit: 'closed' | 'open' | 'half-open'
  sent: number
  failed: number
  /** Attempts after the first. */
  retried: number
  /** Left undone, as newer ones needed the room. */
  dropped: number
  waiting: number
  inFlight: number
  /** Of the latest failed try; `at` is epoch ms. */
  lastError: { code: ErrorCode; message: string; at: number } | null
  /** The other side has had something since. */
  recovered: boolean
  latencyMs: Stats | null
  /** Of a driver that has one. */
  outbox?: OutboxStatus
}

export interface OutboxStatus {
  /** Deliveries on the disk. */
  records: number
  /** On the disk. */
  bytes: number
  /** When the oldest came, epoch ms; null: there is none. */
  oldestMs: number | null
  /** Were damaged on the disk, and are lost. */
  damaged: number
}

/** Takes deliveries. A durable outbox is one, too: it stores what comes and hands it on to another. */
export interface Sender {
  /** The first try to open; goes on by itself where it may work later. */
  open(): Promise<void>
  /** Rejects with an `EngineError` when it is given up. */
  send(delivery: Delivery): Promise<Receipt>
  status(): SenderStatus
  /** Ends within `limitMs`; what could not be done by then rejects with `CLOSED`. */
  close(limitMs: number): Promise<void>
  /** Of one that stores: hears what became of what was stored. */
  onSettled?: ((settled: Settled) => void) | undefined
}

/** What became of a delivery. */
export interface Record {
  kind: DeliveryKind
  source: string | undefined
  data: unknown
  /** Epoch ms, when it was settled. */
  timestamp: number
  attempts: number
  latencyMs: number
  code: ErrorCode | null
}

export interface HistoryStats {
  count: number
  failed: number
  byKind: { [K in DeliveryKind]: number }
  /** Of those that arrived. */
  latencyMs: Stats | null
}

/** Below the 8 s that a node has; closing the transport takes its time, too. */
const DRAIN_MS = 6500
const TRANSPORT_CLOSE_MS = 1000
const TEST_MS = 10_000

export class ActionDriver {
  private readonly records: Ring<Record>

  /** @internal Made by `createDriver`. */
  constructor(
    private readonly transport: Transport,
    private readonly sender: Sender,
    history: number,
    undelivered: NonNullable<Seams['undelivered']> = () => {},
  ) {
    this.records = new Ring(history)
    sender.onSettled = ({ delivery, attempts, latencyMs, error }) => {
      this.note(delivery, attempts, latencyMs, error?.code ?? null)
      if (error) undelivered(delivery, error, attempts)
    }
  }

  /** Makes ready. A failure is thrown, and tried again in the background where it may work later. */
  initialize(): Promise<void> {
    return this.sender.open()
  }

  onMeasurement(data: Measurement): Promise<Receipt> {
    return this.send({ kind: 'measurement', data, source: data.sourceNodeId })
  }

  onAlert(data: Alert): Promise<Receipt> {
    return this.send({ kind: 'alert', data, source: data.sourceNodeId })
  }

  /** The end of an alert. */
  clear(data: Clear): Promise<Receipt> {
    return this.send({ kind: 'clear', data, source: data.sourceNodeId })
  }

  /** Anything else; what has the same `source` keeps its order. */
  onMessage(data: unknown, source?: string): Promise<Receipt> {
    return this.send({ kind: 'message', data, ...(source !== undefined && { source }) })
  }

  /** What is known without asking anyone. */
  get state(): SenderStatus {
    return this.sender.status()
  }

  async status(): Promise<SenderStatus & { details?: unknown }> {
    const details = await this.transport.describe?.()
    return { ...this.sender.status(), ...(details !== undefined && { details }) }
  }

  /** What became of the newest deliveries, newest first. */
  history(limit?: number): Record[] {
    return this.records.newest(limit)
  }

  historyStats(): HistoryStats {
    const records = this.records.newest()
    const byKind = { measurement: 0, alert: 0, clear: 0, message: 0 }
    for (const { kind } of records) byKind[kind] += 1
    const arrived = records.filter(({ code }) => code === null)
    return {
      count: records.length,
      failed: records.length - arrived.length,
      byKind,
      latencyMs: statsOf(arrived.map(({ latencyMs }) => latencyMs)),
    }
  }

  /** Tries the other side out; resolves to what was found, throws the precise failure. */
  async test(): Promise<string> {
    return this.transport.test(AbortSignal.timeout(TEST_MS))
  }

  /** Lets what waits go out, for 6.5 s at most; what is left then fails with `CLOSED`. */
  async shutdown(): Promise<void> {
    await this.sender.close(DRAIN_MS)
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, TRANSPORT_CLOSE_MS)
    })
    await Promise.race([this.transport.close(), limit]).finally(() => clearTimeout(timer))
  }

  private async send(delivery: Delivery): Promise<Receipt> {
    const start = performance.now()
    const note = (attempts: number, code: ErrorCode | null) =>
      this.note(delivery, attempts, performance.now() - start, code)
    try {
      const receipt = await this.sender.send(delivery)
      if (receipt.stored === undefined) note(receipt.attempts, null)
      return receipt
    } catch (error) {
      const { code, attempts = 0 } = error as DriverError
      note(attempts, code)
      throw error
    }
  }

  private note({ kind, source, data }: Delivery, attempts: number, latencyMs: number, code: ErrorCode | null): void {
    this.records.push({ kind, source, data, timestamp: Date.now(), attempts, latencyMs, code })
  }
}
