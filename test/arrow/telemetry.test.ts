import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ZerobusStats } from '../../nodes/arrow/lib'
import { Telemetry } from '../../nodes/arrow/lib/telemetry'
import { faultsOf } from './otlp'

interface Said {
  url: string
  // biome-ignore lint/suspicious/noExplicitAny: JSON of OTLP
  body: any
}

const stats: ZerobusStats = {
  batches: 2,
  rows: 15,
  rowsFailed: 5,
  rowsAside: 0,
  bytes: 160,
  retries: 3,
  streams: 1,
  inFlightBytes: 7,
  spooled: 4,
  spoolBytes: 4096,
  spoolOldestMs: null,
  spoolLost: 0,
  copiesError: null,
  lastError: null,
}
const good = {
  startedMs: 1_700_000_000_000.25,
  latencyMs: 12,
  batchSizeBytes: 2000,
  totalRows: 10,
  failedCount: 0,
  attempts: 1,
  success: true,
  spooled: false,
}
const error = { code: 'REFUSED', message: 'not so' }
const bad = { ...good, latencyMs: 99_000, failedCount: 5, attempts: 4, success: false, error }

describe('figures and spans for OpenTelemetry', () => {
  const said: Said[] = []
  let status = 200
  let answer = '{}'
  let server: Server
  let endpoint: string

  before(async () => {
    server = createServer(async (request, response) => {
      let text = ''
      for await (const part of request) text += part
      said.push({ url: request.url ?? '', body: JSON.parse(text) })
      response.writeHead(status).end(answer)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    said.length = 0
    status = 200
    answer = '{}'
  })

  const open = (options = {}) => new Telemetry({ endpoint, intervalMs: 60_000, ...options }, 'a.b.c', () => stats)
  const metricsOf = ({ body }: Said) =>
    new Map<string, { unit: string; [kind: string]: unknown }>(
      body.resourceMetrics[0].scopeMetrics[0].metrics.map((metric: { name: string }) => [metric.name, metric]),
    )
  const spansOf = ({ body }: Said) => body.resourceSpans[0].scopeSpans[0].spans
  // biome-ignore lint/suspicious/noExplicitAny: JSON of OTLP
  const points = (metric: any) => (metric.sum ?? metric.gauge ?? metric.histogram).dataPoints

  it('tells all figures, counted from the start on', async () => {
    const telemetry = open()
    telemetry.record(good)
    telemetry.record(bad)
    for (let count = 0; count < 3; count += 1) telemetry.record({ ...good, spooled: true })
    await telemetry.close()
    assert.deepEqual(
      said.map(({ url }) => url),
      ['/v1/metrics', '/v1/traces'],
    )
    const metrics = metricsOf(said[0] as Said)
    const counts = [...metrics].flatMap(([name, metric]) => (metric.histogram ? [] : [[name, points(metric)[0].asInt]]))
    assert.deepEqual(counts, [
      ['zerobus.batch.success', '1'],
      ['zerobus.rows.ok', '15'],
      ['zerobus.rows.failed', '5'],
      ['zerobus.bytes', '160'],
      ['zerobus.retries', '3'],
      ['zerobus.in_flight_bytes', '7'],
      ['zerobus.spool.batches', '4'],
      ['zerobus.spool.bytes', '4096'],
      ['zerobus.spool.age_ms', '0'],
    ])
    // What is on the disk has not arrived.
    // biome-ignore lint/suspicious/noExplicitAny: JSON of OTLP
    const outcomes = points(metrics.get('zerobus.batch.success')).map(({ asInt, attributes }: any) => [
      asInt,
      ...attributes.slice(1).flatMap(({ key, value }: { key: string; value: object }) => [key, value]),
    ])
    const of = (count: string, success: boolean, spooled: boolean) => [
      ...[count, 'success', { boolValue: success }, 'spooled', { boolValue: spooled }],
    ]
    assert.deepEqual(outcomes, [of('1', true, false), of('3', true, true), of('1', false, false), of('0', false, true)])
    const [latency] = points(metrics.get('zerobus.batch.latency_ms'))
    assert.deepEqual([latency.count, latency.sum], ['5', 99_048])
    // 12 ms is in the bucket up to 25, 99 s beyond the last bound.
    assert.deepEqual(
      [latency.bucketCounts.indexOf('4'), latency.bucketCounts.at(-1), latency.bucketCounts.length],
      [2, '1', latency.explicitBounds.length + 1],
    )
  })

  it('tells each batch as a span, once', async () => {
    const telemetry = open()
    telemetry.record(good)
    telemetry.record(bad)
    await telemetry.export()
    const [first, second] = spansOf(said[1] as Said)
    assert.equal(first.name, 'zerobus.send_batch')
    assert.deepEqual([first.startTimeUnixNano, first.endTimeUnixNano], ['1700000000000250000', '1700000000012250000'])
    assert.deepEqual([first.status.code, second.status], [1, { code: 2, message: 'not so' }])
    assert.match(first.traceId, /^[0-9a-f]{32}$/)
    assert.match(first.spanId, /^[0-9a-f]{16}$/)
    assert.notEqual(first.traceId, second.traceId)
    assert.deepEqual(second.attributes.at(-1), { key: 'error.type', value: { stringValue: 'REFUSED' } })
    await telemetry.close()
    assert.deepEqual(
      said.map(({ url }) => url),
      ['/v1/metrics', '/v1/traces', '/v1/metrics'],
    )
  })

  it('is as OTLP has it, to the last field', async () => {
    const telemetry = open()
    telemetry.record(good)
    telemetry.record(bad)
    await telemetry.close()
    assert.deepEqual(
      said.flatMap(({ url, body }) => faultsOf(url, body)),
      [],
    )
    const [metric] = said[0]?.body.resourceMetrics[0].scopeMetrics[0].metrics ?? []
    const [point] = points(metric)
    // As many bounds as there are buckets, less one; each value in one of them.
    assert.equal(point.bucketCounts.length, point.explicitBounds.length + 1)
    assert.equal(
      point.bucketCounts.reduce((sum: number, one: string) => sum + Number(one), 0),
      Number(point.count),
    )
  })

  it('does not send again what a collector refuses for good, and says what it left out', async () => {
    const telemetry = open()
    telemetry.record(good)
    status = 400
    await telemetry.export()
    assert.match(telemetry.lastError ?? '', /400/)
    status = 200
    answer = '{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}'
    await telemetry.export()
    assert.match(telemetry.lastError ?? '', /too old/)
    answer = 'no JSON'
    await telemetry.export()
    assert.equal(telemetry.lastError, null)
    await telemetry.close()
    assert.deepEqual(
      said.map(({ url }) => url),
      ['/v1/metrics', '/v1/traces', '/v1/metrics', '/v1/metrics', '/v1/metrics'],
    )
  })

  it('keeps spans for a collector that is away, says so, and recovers', async () => {
    const telemetry = open()
    telemetry.record(good)
    status = 503
    await telemetry.export()
    assert.match(telemetry.lastError ?? '', /503/)
    status = 200
    await telemetry.export()
    assert.equal(telemetry.lastError, null)
    assert.equal(spansOf(said.at(-1) as Said).length, 1)
    await telemetry.close()
    const lost = open({ endpoint: 'http://127.0.0.1:9' })
    lost.record(good)
    await lost.close()
    assert.ok(lost.lastError)
  })

  it('keeps no more spans than it should', async () => {
    const telemetry = open()
    for (let number = 0; number < 3000; number += 1) telemetry.record({ ...good, totalRows: number })
    await telemetry.close()
    const spans = spansOf(said[1] as Said)
    assert.equal(spans.length, 2048)
    assert.equal(spans.at(-1).attributes[2].value.intValue, '2999')
  })

  it('sends by itself, at intervals', async () => {
    const telemetry = open({ intervalMs: 5 })
    while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 2))
    await telemetry.close()
    assert.equal(said[0]?.url, '/v1/metrics')
  })
})
