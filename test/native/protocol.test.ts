/** What crosses by number has the same name on both sides. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { sync } from '../../nodes'
import { errorCodes } from '../../nodes/shared/errors'
import { native } from '../../nodes/shared/native'

/** Complete by their types: a name that is missing here, or too many, does not compile. */
const outcomes: Record<sync.PushOutcome, true> = {
  accepted: true,
  late: true,
  'out-of-order': true,
  full: true,
  'unknown-topic': true,
  'clock-jump': true,
}
const reasons: Record<sync.DropReason, true> = {
  unmatched: true,
  full: true,
  timeout: true,
  replaced: true,
  'clock-jump': true,
  reset: true,
  flush: true,
  late: true,
  'out-of-order': true,
  'unknown-topic': true,
}

describe('the protocol between JavaScript and the binary', () => {
  it('has the outcomes and reasons that the library declares', () => {
    const protocol = native().syncProtocol()
    assert.deepEqual([...protocol.outcomes].sort(), Object.keys(outcomes).sort())
    assert.deepEqual([...protocol.reasons].sort(), Object.keys(reasons).sort())
  })

  it('gives a refused message the reason of its outcome', () => {
    const { outcomes, reasons } = native().syncProtocol()
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 'accepted' && !reasons.includes(outcome)),
      [],
    )
  })

  it('keeps flags, outcomes and counts apart', () => {
    const { outcomes, kept, ready, more, droppedShift, droppedMax } = native().syncProtocol()
    const flags = [kept, ready, more]
    assert.ok(outcomes.length <= 0x100)
    for (const flag of flags) assert.ok(flag >= 0x100 && flag < 2 ** droppedShift && (flag & (flag - 1)) === 0)
    assert.equal(new Set(flags).size, flags.length)
    assert.ok(droppedMax < 2 ** (32 - droppedShift))
  })

  it('has the error codes that the library declares', () => {
    const types = readFileSync(join(__dirname, '../../native/index.d.ts'), 'utf8')
    const declared = [...(/type ErrorCode = (.*)/.exec(types)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, code]) => code)
    assert.deepEqual([...errorCodes].sort(), declared.sort())
    assert.ok(errorCodes.length <= 40)
  })
})
