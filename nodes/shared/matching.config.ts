/** How streams are matched, as nodes save it: the engine's options, in milliseconds. */
import { choice, flag, list, number, optionalNumber, Problem } from './config'

const CENTURY_MS = 3_155_760_000_000
const time = { min: 0.000001, max: CENTURY_MS }

export const matchingFields = {
  match: choice('nearest', ['nearest', 'oldest']),
  windowMs: optionalNumber(50, time),
  bufferSize: number(64, { min: 2, max: 1_000_000, whole: true }),
  drop: choice('drop-oldest', ['drop-oldest', 'reject-new']),
  timeoutMs: optionalNumber('', time),
  maxDelayMs: optionalNumber('', time),
  equalStamps: choice('refuse', ['refuse', 'replace']),
  onClockJump: choice('reset', ['reset', 'refuse']),
  clockJumpMs: number(1000, time),
  learnPeriods: flag(false),
  stallMs: optionalNumber(10_000, time),
}

/** The engine's options among saved ones. */
export const MATCHING = Object.keys(matchingFields) as (keyof typeof matchingFields)[]

/** A row of a list of topics. */
export interface TopicRow {
  topic: string
  required: boolean
  /** A promise that helps to prove groups earlier, ms. */
  minPeriodMs: number | null
}

const minPeriod = optionalNumber('', time)

/** A list of topics, each once, at least one of them required. */
export function topicList<Row extends TopicRow>(read: (saved: Record<string, unknown>, row: TopicRow) => Row) {
  return list((saved) => {
    const row = (saved ?? {}) as Record<string, unknown>
    if (typeof row.topic !== 'string' || row.topic === '') throw new Problem('config.topicEmpty')
    const { topic, required, minPeriodMs } = row
    return read(row, { topic, required: required !== false, minPeriodMs: minPeriod.read(minPeriodMs) })
  }, distinct)
}

function distinct(rows: TopicRow[]): void {
  const seen = new Set<string>()
  for (const { topic } of rows) {
    if (seen.has(topic)) throw new Problem('config.topicTwice', { topic })
    seen.add(topic)
  }
  if (rows.length > 0 && !rows.some((row) => row.required)) throw new Problem('config.noneRequired')
}
