/** Figures and spans of a Zerobus client, sent to an OpenTelemetry collector as OTLP over HTTP, in JSON. */
import { randomBytes } from 'node:crypto'
import { native } from '../../shared/native'
import type { ZerobusStats } from './zerobus'

export interface ZerobusObservability {
  /** Of a collector that takes OTLP over HTTP: `http://localhost:4318`. */
  endpoint: string
  /** So often figures and spans are sent, ms. Default 10 000. */
  intervalMs?: number
}

/** What is told of a batch. */
export interface SentBatch {
  /** When it was given, ms since the epoch. */
  startedMs: number
  latencyMs: number
  batchSizeBytes: number
  totalRows: number
  failedCount: number
  attempts: number
  success: boolean
  spooled: boolean
  /** Why not all of it arrived. */
  error?: { code: string; message: string } | undefined
}

type Kind = 'metrics' | 'traces'
type Value = string | number | boolean
type Attributes = Record<string, Value>

const INTERVAL_MS = 10_000
/** So long a collector has to answer. */
const TIMEOUT_MS = 1500
/** More spans than these are not kept for a collector that is away. */
const MAX_SPANS = 2048
/** Of answers, those after which the same may be sent again. */
const AGAIN = [429, 502, 503, 504]
const CUMULATIVE = 2
const CLIENT = 3
const STATUS = { ok: 1, error: 2 }
const OUTCOMES = [true, false].flatMap((success) => [false, true].map((spooled) => ({ success, spooled })))

/** Counts of values up to bounds, and beyond the last. */
class Histogram {
  private readonly counts: number[]
  private sum = 0

  constructor(private readonly bounds: number[]) {
    this.counts = [...bounds.map(() => 0), 0]
  }

  add(value: number): void {
    const place = this.bounds.findIndex((bound) => value <= bound)
    const index = place < 0 ? this.bounds.length : place
    this.counts[index] = (this.counts[index] ?? 0) + 1
    this.sum += value
  }

  point(): object {
    const count = this.counts.reduce((sum, one) => sum + one, 0)
    return { count: `${count}`, sum: this.sum, bucketCounts: this.counts.map(String), explicitBounds: this.bounds }
  }
}

export class Telemetry {
  private readonly started = nanos(Date.now())
  private readonly sizes = new Histogram([1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
  private readonly latencies = new Histogram([5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000])
  /** What is in the spool is safe, but has not arrived. */
  private readonly outcomes = OUTCOMES.map((outcome) => ({ outcome, count: 0 }))
  private spans: object[] = []
  private readonly timer: NodeJS.Timeout
  private sending: Promise<void> = Promise.resolve()
  /** Why the last export failed; null after one that did not. */
  lastError: string | null = null

  constructor(
    private readonly options: ZerobusObservability,
    private readonly table: string,
    private readonly stats: () => ZerobusStats,
  ) {
    this.timer = setInterval(() => void this.export(), options.intervalMs ?? INTERVAL_MS)
    this.timer.unref()
  }

  record(batch: SentBatch): void {
    this.sizes.add(batch.batchSizeBytes)
    this.latencies.add(batch.latencyMs)
    for (const one of this.outcomes) {
      if (one.outcome.success === batch.success && one.outcome.spooled === batch.spooled) one.count += 1
    }
    if (this.spans.length >= MAX_SPANS) this.spans.shift()
    const { error } = batch
    this.spans.push({
      traceId: randomBytes(16).toString('hex'),
      spanId: randomBytes(8).toString('hex'),
      name: 'zerobus.send_batch',
      kind: CLIENT,
      startTimeUnixNano: nanos(batch.startedMs),
      endTimeUnixNano: nanos(batch.startedMs + batch.latencyMs),
      attributes: attributes({
        'zerobus.table': this.table,
        'zerobus.batch.size_bytes': batch.batchSizeBytes,
        'zerobus.batch.rows': batch.totalRows,
        'zerobus.batch.rows_failed': batch.failedCount,
        'zerobus.batch.attempts': batch.attempts,
        'zerobus.batch.spooled': batch.spooled,
        ...(error ? { 'error.type': error.code } : {}),
      }),
      status: batch.success ? { code: STATUS.ok } : { code: STATUS.error, message: error?.message ?? '' },
    })
  }

  /** Sends what there is, behind an export that is under way. It never fails: see `lastError`. */
  export(): Promise<void> {
    this.sending = this.sending.then(() => this.send())
    return this.sending
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.export()
  }

  private async send(): Promise<void> {
    const spans = this.spans.splice(0)
    const figures = await this.post('metrics', {
      resourceMetrics: [this.resource('scopeMetrics', { metrics: this.metrics() })],
    })
    const skipped = spans.length === 0 || figures?.again
    const last = skipped
      ? figures
      : await this.post('traces', { resourceSpans: [this.resource('scopeSpans', { spans })] })
    // Counts are told whole each time; spans wait for the next.
    if (last?.again) this.spans = [...spans, ...this.spans].slice(-MAX_SPANS)
    this.lastError = (figures ?? last)?.message ?? null
  }

  /** Why it did not arrive, or not all of it; `again`: it may the next time. */
  private async post(kind: Kind, body: object): Promise<{ message: string; again: boolean } | undefined> {
    try {
      const response = await fetch(`${this.options.endpoint.replace(/\/+$/, '')}/v1/${kind}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const text = await response.text()
      if (!response.ok) {
        return {
          message: `the collector answers ${response.status} to ${kind}`,
          again: AGAIN.includes(response.status),
        }
      }
      const left = leftOut(text)
      return left === undefined ? undefined : { message: `the collector left out ${kind}: ${left}`, again: false }
    } catch (error) {
      const { message, cause } = error as Error
      return { message: cause instanceof Error ? `${message}: ${cause.message}` : message, again: true }
    }
  }

  private resource(kind: string, content: object): object {
    const version = native().engineVersion()
    return {
      resource: { attributes: attributes({ 'service.name': 'millrace', 'service.version': version }) },
      [kind]: [{ scope: { name: 'millrace.arrow', version }, ...content }],
    }
  }

  private metrics(): object[] {
    const stats = this.stats()
    const now = Date.now()
    const point = (more: object, extra: Attributes = {}) => ({
      startTimeUnixNano: this.started,
      timeUnixNano: nanos(now),
      attributes: attributes({ 'zerobus.table': this.table, ...extra }),
      ...more,
    })
    const histogram = (name: string, unit: string, values: Histogram) => ({
      name,
      unit,
      histogram: { aggregationTemporality: CUMULATIVE, dataPoints: [point(values.point())] },
    })
    const sum = (name: string, unit: string, dataPoints: object[]) => ({
      name,
      unit,
      sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints },
    })
    const count = (name: string, unit: string, value: number) => sum(name, unit, [point({ asInt: `${value}` })])
    const gauge = (name: string, unit: string, value: number) => ({
      name,
      unit,
      gauge: { dataPoints: [point({ asInt: `${value}` })] },
    })
    const outcomes = this.outcomes.map(({ outcome, count }) => point({ asInt: `${count}` }, outcome))
    return [
      histogram('zerobus.batch.size_bytes', 'By', this.sizes),
      histogram('zerobus.batch.latency_ms', 'ms', this.latencies),
      sum('zerobus.batch.success', '{batch}', outcomes),
      count('zerobus.rows.ok', '{row}', stats.rows),
      count('zerobus.rows.failed', '{row}', stats.rowsFailed),
      count('zerobus.bytes', 'By', stats.bytes),
      count('zerobus.retries', '{retry}', stats.retries),
      gauge('zerobus.in_flight_bytes', 'By', stats.inFlightBytes),
      gauge('zerobus.spool.batches', '{batch}', stats.spooled),
      gauge('zerobus.spool.bytes', 'By', stats.spoolBytes),
      gauge('zerobus.spool.age_ms', 'ms', stats.spoolOldestMs === null ? 0 : Math.max(0, now - stats.spoolOldestMs)),
    ]
  }
}

/** What a collector did not take of what it took. */
function leftOut(answer: string): string | undefined {
  try {
    const { rejectedDataPoints, rejectedSpans, errorMessage } = JSON.parse(answer)?.partialSuccess ?? {}
    const rejected = Number(rejectedDataPoints ?? rejectedSpans ?? 0)
    return rejected > 0 ? `${rejected}, ${errorMessage}` : undefined
  } catch {
    // Nobody is bound to answer with more than a status.
    return undefined
  }
}

/** Text, as a number does not hold them. */
function nanos(ms: number): string {
  return `${BigInt(Math.round(ms * 1000))}000`
}

function attributes(values: Attributes): object[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }))
}

function anyValue(value: Value): object {
  if (typeof value === 'string') return { stringValue: value }
  return typeof value === 'boolean' ? { boolValue: value } : { intValue: `${value}` }
}
