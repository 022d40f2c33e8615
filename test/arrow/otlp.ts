/**
 * What OTLP lets an export be, in its JSON form: the messages and fields that a figure or a span may have. 64-bit numbers
 * are texts there, enums are numbers, ids are hexadecimal; a receiver may refuse what has a field that it does not know.
 */
type Check = (value: unknown) => boolean
interface Message {
  [field: string]: Check | Message | [Message | Check]
}

const text: Check = (value) => typeof value === 'string'
const flag: Check = (value) => typeof value === 'boolean'
const double: Check = (value) => typeof value === 'number'
const whole: Check = (value) => typeof value === 'string' && /^-?\d{1,19}$/.test(value)
const natural: Check = (value) => whole(value) && BigInt(value as string) >= 0n
const oneOf =
  (...values: number[]): Check =>
  (value) =>
    values.includes(value as number)
const hex =
  (bytes: number): Check =>
  (value) =>
    typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-f]+$/i.test(value) && /[^0]/.test(value)

const attributes: [Message] = [
  { key: text, value: { stringValue: text, boolValue: flag, intValue: whole, doubleValue: double } },
]
const resource: Message = { attributes }
const scope: Message = { name: text, version: text, attributes }
const point = { attributes, startTimeUnixNano: natural, timeUnixNano: natural }
const numbers: [Message] = [{ ...point, asInt: whole, asDouble: double }]
const buckets: Message = {
  count: natural,
  sum: double,
  bucketCounts: [natural],
  explicitBounds: [double],
  min: double,
  max: double,
}
const aggregationTemporality = oneOf(1, 2)
const metrics: [Message] = [
  {
    name: text,
    description: text,
    unit: text,
    sum: { dataPoints: numbers, aggregationTemporality, isMonotonic: flag },
    gauge: { dataPoints: numbers },
    histogram: { dataPoints: [{ ...point, ...buckets }], aggregationTemporality },
  },
]
const spans: [Message] = [
  {
    traceId: hex(16),
    spanId: hex(8),
    parentSpanId: hex(8),
    name: text,
    kind: oneOf(1, 2, 3, 4, 5),
    startTimeUnixNano: natural,
    endTimeUnixNano: natural,
    attributes,
    status: { message: text, code: oneOf(0, 1, 2) },
  },
]

const exports: Record<string, Message> = {
  '/v1/metrics': { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] },
  '/v1/traces': { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] },
}

/** What a receiver would find wrong with an export. */
export function faultsOf(url: string, body: unknown): string[] {
  const message = exports[url]
  return message ? faults(message, body, url) : [`${url}: no such path`]
}

function faults(wanted: Check | Message | [Message | Check], value: unknown, path: string): string[] {
  if (typeof wanted === 'function') return wanted(value) ? [] : [`${path}: ${JSON.stringify(value)}`]
  if (Array.isArray(wanted)) {
    if (!Array.isArray(value)) return [`${path}: no list`]
    return value.flatMap((one, place) => faults(wanted[0], one, `${path}[${place}]`))
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: no message`]
  return Object.entries(value).flatMap(([field, inner]) => {
    const known = Object.hasOwn(wanted, field) ? wanted[field] : undefined
    return known ? faults(known, inner, `${path}.${field}`) : [`${path}.${field}: unknown`]
  })
}
