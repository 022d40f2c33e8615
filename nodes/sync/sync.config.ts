import { choice, defineConfig, flag, list, number, optionalNumber, Problem, text, type Values } from '../shared/config'

const CENTURY_MS = 3_155_760_000_000
const time = { min: 0.000001, max: CENTURY_MS }

/** A row of the list of topics. */
export interface TopicRow {
  topic: string
  required: boolean
  /** A promise that helps to prove groups earlier, ms. */
  minPeriodMs: number | null
}

const minPeriod = optionalNumber('', time)

function topicRow(saved: unknown): TopicRow {
  const row = (saved ?? {}) as Record<string, unknown>
  if (typeof row.topic !== 'string' || row.topic === '') throw new Problem('config.topicEmpty')
  return { topic: row.topic, required: row.required !== false, minPeriodMs: minPeriod.read(row.minPeriodMs) }
}

function distinct(rows: TopicRow[]): void {
  const seen = new Set<string>()
  for (const { topic } of rows) {
    if (seen.has(topic)) throw new Problem('config.topicTwice', { topic })
    seen.add(topic)
  }
  if (rows.length > 0 && !rows.some((row) => row.required)) throw new Problem('config.noneRequired')
}

export const syncConfig = defineConfig({
  type: 'millrace-sync',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Empty: the first `learn` topics that appear. */
    topics: list(topicRow, distinct),
    learn: number(2, { min: 1, max: 1000, whole: true }),
    topicFrom: text('topic'),
    topicFromType: choice('msg', ['msg', 'jsonata']),
    stampFrom: text(),
    /** `auto`: `msg.payload.header.stamp` where there is one, else `msg.timestamp`. */
    stampFromType: choice('auto', ['auto', 'msg', 'jsonata', 'arrival']),
    stampUnit: choice('auto', ['auto', 'ns', 'us', 'ms', 's', 'iso']),
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
  },
})

export type SyncConfig = Values<(typeof syncConfig)['fields']>
