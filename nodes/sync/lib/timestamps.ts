/** Reads the many forms in which messages carry a time, to nanoseconds since the epoch. */
import { EngineError, quote } from '../../shared/errors'

/** How a number or a text of digits counts; `auto`: numbers are ms, digits are ns, other text is ISO 8601. */
export const stampUnits = ['auto', 'ns', 'us', 'ms', 's', 'iso'] as const
export type StampUnit = (typeof stampUnits)[number]

const NS_PER: Record<Exclude<StampUnit, 'auto' | 'iso'>, number> = { ns: 1, us: 1_000, ms: 1_000_000, s: 1_000_000_000 }
const DIGITS = /^([+-]?\d{1,20})(?:\.(\d{1,20}))?$/
/** The fraction of a second, which `Date` would cut to milliseconds. */
const ISO_FRACTION = /^([^.]+)\.(\d+)(.*)$/

/** The engine takes what lies between: 146 years in each direction. */
const LIMIT = 2n ** 62n

/** Nanoseconds; throws `INVALID_TIMESTAMP` for what is no time, or out of the engine's range. */
export function parseStamp(value: unknown, unit: StampUnit = 'auto'): bigint {
  if (!stampUnits.includes(unit)) {
    throw new EngineError('INVALID_OPTION', `the unit is ${quote(unit)}; use ${stampUnits.join(', ')}`)
  }
  const stamp = read(value, unit)
  if (stamp === undefined || stamp <= -LIMIT || stamp >= LIMIT) {
    throw new EngineError(
      'INVALID_TIMESTAMP',
      `${quote(value)} is no timestamp${unit === 'auto' ? '' : ` in ${unit}`}; ` +
        'use {sec, nanosec}, a bigint or digits (ns), a number (ms), ISO 8601 text or a Date',
    )
  }
  return stamp
}

function read(value: unknown, unit: StampUnit): bigint | undefined {
  if (value instanceof Date) return fromIso(Number.isNaN(value.getTime()) ? '' : value.toISOString())
  switch (typeof value) {
    case 'bigint':
      return unit === 'auto' || unit === 'ns' ? value : unit === 'iso' ? undefined : value * BigInt(NS_PER[unit])
    case 'number':
      return unit === 'iso' ? undefined : fromNumber(value, unit === 'auto' ? 'ms' : unit)
    case 'string':
      return fromText(value.trim(), unit)
    case 'object':
      return fromRos(value)
    default:
      return undefined
  }
}

function fromNumber(value: number, unit: keyof typeof NS_PER): bigint | undefined {
  if (!Number.isFinite(value)) return undefined
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw new EngineError(
      'INVALID_TIMESTAMP',
      `${value} is too large for an exact number; give it as a bigint or digits`,
    )
  }
  const whole = Math.trunc(value)
  // The fraction apart: the product would lose nanoseconds.
  return BigInt(whole) * BigInt(NS_PER[unit]) + BigInt(Math.round((value - whole) * NS_PER[unit]))
}

function fromText(text: string, unit: StampUnit): bigint | undefined {
  const digits = DIGITS.exec(text)
  if (!digits || unit === 'iso') return unit === 'auto' || unit === 'iso' ? fromIso(text) : undefined
  const [, whole = '', fraction = ''] = digits
  const scale = NS_PER[unit === 'auto' ? 'ns' : unit]
  const places = String(scale).length - 1
  const part = BigInt(fraction.slice(0, places).padEnd(places, '0') || '0')
  return BigInt(whole) * BigInt(scale) + (whole.startsWith('-') ? -part : part)
}

function fromIso(text: string): bigint | undefined {
  const [, head, fraction = '', tail] = ISO_FRACTION.exec(text) ?? [undefined, text, '', '']
  // A bare number would pass as a year.
  if (!/^[+-]?\d{4,6}-\d\d/.test(text)) return undefined
  const ms = Date.parse(`${head}${tail}`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
}

/** A ROS stamp. Zero means there that none was set. */
function fromRos(value: object | null): bigint | undefined {
  const { sec, nanosec } = (value ?? {}) as { sec?: unknown; nanosec?: unknown }
  if (!isWhole(sec) || !isWhole(nanosec)) return undefined
  if (nanosec < 0 || nanosec >= NS_PER.s) return undefined
  const stamp = BigInt(sec) * 1_000_000_000n + BigInt(nanosec)
  if (stamp === 0n) {
    throw new EngineError('INVALID_TIMESTAMP', 'the stamp {sec: 0, nanosec: 0} means that none was set; set it')
  }
  return stamp
}

function isWhole(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}
