import assert from 'node:assert/strict'
import { arrivalClock, parseStamp, type StampUnit } from '../../nodes/sync/lib'

/** The largest stamp. */
const LIMIT = 2n ** 62n - 1n

const read: [value: unknown, unit: StampUnit, ns: bigint][] = [
  // ROS stamps, whatever the unit.
  [{ sec: 1, nanosec: 5 }, 'auto', 1_000_000_005n],
  [{ sec: 1n, nanosec: 5n }, 'ms', 1_000_000_005n],
  [{ sec: -1, nanosec: 999_999_999 }, 'auto', -1n],
  [{ sec: 0, nanosec: 1 }, 'auto', 1n],
  // bigint
  [7n, 'auto', 7n],
  [-7n, 'ns', -7n],
  [7n, 'us', 7_000n],
  [7n, 'ms', 7_000_000n],
  [7n, 's', 7_000_000_000n],
  [LIMIT, 'ns', LIMIT],
  [-LIMIT, 'ns', -LIMIT],
  // number
  [0, 'auto', 0n],
  [1_700_000_000_123, 'auto', 1_700_000_000_123_000_000n],
  [1.5, 'auto', 1_500_000n],
  [-1.5, 'ms', -1_500_000n],
  [-0.25, 's', -250_000_000n],
  [0.000001, 'ms', 1n],
  [12, 'ns', 12n],
  [12, 'us', 12_000n],
  [1_700_000_000.5, 's', 1_700_000_000_500_000_000n],
  // digits
  ['1700000000123456789', 'auto', 1_700_000_000_123_456_789n],
  [' 42 ', 'auto', 42n],
  ['-42', 'ns', -42n],
  ['+42', 'ns', 42n],
  ['1.000000001', 's', 1_000_000_001n],
  ['-0.5', 's', -500_000_000n],
  ['1.0000005', 'ms', 1_000_000n],
  ['1700000000123', 'ms', 1_700_000_000_123_000_000n],
  ['5', 'us', 5_000n],
  // ISO 8601
  ['1970-01-01T00:00:01Z', 'auto', 1_000_000_000n],
  ['1970-01-01T00:00:00.123456789Z', 'auto', 123_456_789n],
  ['1970-01-01T00:00:00.1Z', 'iso', 100_000_000n],
  ['1970-01-01T01:00:00.5+01:00', 'iso', 500_000_000n],
  ['1969-12-31T23:59:59.9Z', 'auto', -100_000_000n],
  ['1970-01-02', 'iso', 86_400_000_000_000n],
  // Date
  [new Date(1234), 'auto', 1_234_000_000n],
  [new Date(-1), 's', -1_000_000n],
]

const refused: [value: unknown, unit: StampUnit][] = [
  [undefined, 'auto'],
  [null, 'auto'],
  [true, 'auto'],
  [{}, 'auto'],
  [[], 'auto'],
  [Symbol('now'), 'auto'],
  [() => 0, 'auto'],
  ['', 'auto'],
  ['noon', 'auto'],
  ['2024', 'iso'],
  ['12:00', 'auto'],
  ['1e3', 'ns'],
  ['0x10', 'ns'],
  ['1970-01-01T00:00:00Z', 'ms'],
  [Number.NaN, 'auto'],
  [Number.POSITIVE_INFINITY, 'ms'],
  [2 ** 53, 'ns'],
  [1, 'iso'],
  [1n, 'iso'],
  [new Date(Number.NaN), 'auto'],
  // ROS means by zero that none was set.
  [{ sec: 0, nanosec: 0 }, 'auto'],
  [{ sec: 1 }, 'auto'],
  [{ sec: 1, nanosec: -5 }, 'auto'],
  [{ sec: 1, nanosec: 5e9 }, 'auto'],
  [{ sec: '1', nanosec: 0 }, 'auto'],
  [{ sec: 1.5, nanosec: 0 }, 'auto'],
  // Out of the engine's range.
  [LIMIT + 1n, 'ns'],
  [-LIMIT - 1n, 'ns'],
  [LIMIT, 's'],
  ['99999999999999999999', 'ns'],
  ['9999-01-01T00:00:00Z', 'iso'],
]

describe('parseStamp', () => {
  it('a unit that does not exist is INVALID_OPTION', () => {
    assert.throws(() => parseStamp(1, 'min' as never), { code: 'INVALID_OPTION' })
  })

  for (const [value, unit, ns] of read) {
    it(`${show(value)} in ${unit} is ${ns} ns`, () => assert.equal(parseStamp(value, unit), ns))
  }

  for (const [value, unit] of refused) {
    it(`${show(value)} in ${unit} is no timestamp`, () => {
      assert.throws(() => parseStamp(value, unit), { name: 'EngineError', code: 'INVALID_TIMESTAMP' })
    })
  }

  it('names the value that is none', () => {
    assert.throws(() => parseStamp('noon'), /'noon'/)
  })
})

describe('arrivalClock', () => {
  it('rises with every call, and starts with the wall clock', () => {
    const clock = arrivalClock()
    const stamps = Array.from({ length: 10_000 }, clock)
    assert.ok(stamps.every((stamp, place) => place === 0 || stamp > (stamps[place - 1] as bigint)))
    const off = BigInt(Date.now()) * 1_000_000n - (stamps.at(-1) as bigint)
    // Anything but another epoch or another unit.
    assert.ok(off > -60_000_000_000n && off < 60_000_000_000n)
  })
})

function show(value: unknown): string {
  const fields = (_: string, field: unknown) => (typeof field === 'bigint' ? `${field}n` : field)
  if (value instanceof Date) return `Date ${value.getTime()}`
  return typeof value === 'object' ? JSON.stringify(value, fields) : `${typeof value} ${String(value)}`
}
