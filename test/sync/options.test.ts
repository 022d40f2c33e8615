import assert from 'node:assert/strict'
import { sync } from '../../nodes'
import { syncConfig } from '../../nodes/sync/sync.config'

const wrong: [title: string, topics: unknown, options: unknown, named: RegExp][] = [
  ['no topics', [], {}, /topic/],
  ['one text for all topics', 'ab', {}, /'ab'/],
  ['no list of topics', undefined, {}, /topics.*undefined/],
  ['a topic that is no text', ['a', 7], {}, /7/],
  ['options that are none', ['a'], null, /null/],
  ['topics among the options', ['a'], { topics: ['b'] }, /'b'|"b"/],
  ['required topics in one text', ['a'], { required: 'abc' }, /'abc'/],
  ['periods that are none', ['a'], { minPeriodMs: null }, /minPeriodMs.*null/],
  ['a bigint', ['a'], { bufferSize: 64n }, /bufferSize.*64n/],
  ['a topic without a name', ['a', ''], {}, /topic/],
  ['a topic twice', ['a', 'b', 'a'], {}, /'a'/],
  ['an unknown option', ['a'], { windowMS: 5 }, /windowMS/],
  ['a window of zero', ['a'], { windowMs: 0 }, /windowMs.*0/],
  ['a window below zero', ['a'], { windowMs: -3 }, /windowMs.*-3/],
  ['a window that is no number', ['a'], { windowMs: Number.NaN }, /windowMs.*NaN/],
  ['a window without end', ['a'], { windowMs: Number.POSITIVE_INFINITY }, /windowMs.*Infinity/],
  ['a window in words', ['a'], { windowMs: 'wide' }, /windowMs.*wide/],
  ['a window of ages', ['a'], { windowMs: 1e300 }, /windowMs/],
  ['a buffer of one', ['a'], { bufferSize: 1 }, /bufferSize.*1/],
  ['a buffer that is too large', ['a'], { bufferSize: 1_000_001 }, /bufferSize.*1000001/],
  ['half a message', ['a'], { bufferSize: 2.5 }, /bufferSize/],
  ['a rule that does not exist', ['a'], { match: 'closest' }, /match.*closest/],
  ['a policy that does not exist', ['a'], { drop: 'all' }, /drop.*all/],
  ['an unknown way with equal stamps', ['a'], { equalStamps: 'keep' }, /equalStamps.*keep/],
  ['an unknown way with clock jumps', ['a'], { onClockJump: 'jump' }, /onClockJump.*jump/],
  ['a timeout of zero', ['a'], { timeoutMs: 0 }, /timeoutMs.*0/],
  ['a delay below zero', ['a'], { maxDelayMs: -1 }, /maxDelayMs.*-1/],
  ['a jump below zero', ['a'], { clockJumpMs: -1 }, /clockJumpMs.*-1/],
  ['a stall of zero', ['a'], { stallMs: 0 }, /stallMs.*0/],
  ['a flag in words', ['a'], { learnPeriods: 'yes' }, /learnPeriods.*yes/],
  ['nothing required', ['a'], { required: [] }, /required/],
  ['a required topic that is none', ['a'], { required: ['a', 'b'] }, /'b'/],
  ['a period of a topic that is none', ['a'], { minPeriodMs: { b: 5 } }, /'b'/],
  ['a period of zero', ['a'], { minPeriodMs: { a: 0 } }, /'a'.*0/],
  ['a period that is no number', ['a'], { minPeriodMs: { a: Number.NaN } }, /NaN/],
]

describe('the options of a Synchronizer', () => {
  for (const [title, topics, options, named] of wrong) {
    it(`${title} is INVALID_OPTION and is named`, () => {
      const make = () => new sync.Synchronizer(topics as string[], options as sync.SyncOptions)
      assert.throws(make, (error: Error & { code: string }) => {
        assert.equal(error.name, 'EngineError')
        assert.equal(error.code, 'INVALID_OPTION')
        assert.match(error.message, named)
        return true
      })
    })
  }

  it('have the defaults that the node has', () => {
    const engine = new sync.Synchronizer(['a']).options() as Record<string, unknown>
    for (const [name, value] of Object.entries(engine)) {
      const field = (syncConfig.fields as Record<string, { value: unknown }>)[name]
      assert.ok(field, `the node has no ${name}`)
      // A blank field means: none.
      assert.equal(field.value === '' ? null : field.value, value, name)
    }
  })

  it('may be the largest and the smallest that there are', () => {
    const century = 3_155_760_000_000
    for (const windowMs of [0.000001, century, null]) {
      const matcher = new sync.Synchronizer(['a'], {
        windowMs,
        timeoutMs: century,
        maxDelayMs: century,
        stallMs: century,
      })
      assert.equal(matcher.options().windowMs, windowMs)
    }
  })

  it('change while messages flow, and what is not named stays', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'], { bufferSize: 10, maxDelayMs: 5, required: ['a'] })
    matcher.push('a', 0n, 'a0')
    matcher.setOptions({ windowMs: 5, maxDelayMs: null })
    const { windowMs, bufferSize, maxDelayMs } = matcher.options()
    assert.deepEqual({ windowMs, bufferSize, maxDelayMs }, { windowMs: 5, bufferSize: 10, maxDelayMs: null })
    assert.equal(matcher.stats().buffered, 1)
    matcher.flush()
    assert.deepEqual(matcher.poll()?.toObject(), { a: 'a0' })
  })

  it('stay as they are when a change is wrong', () => {
    const matcher = new sync.Synchronizer(['a', 'b'])
    const before = matcher.options()
    const changes = [{ windowMs: 5, bufferSize: 1 }, { windowMs: Number.NaN }, { typo: 1 }, { required: ['a'] }]
    for (const change of changes) {
      assert.throws(() => matcher.setOptions(change as sync.LiveOptions), { code: 'INVALID_OPTION' })
    }
    assert.deepEqual(matcher.options(), before)
  })

  it('a smaller buffer hands back what it cannot hold', () => {
    const matcher = new sync.Synchronizer<number>(['a', 'b'])
    for (let n = 0; n < 5; n += 1) matcher.push('a', BigInt(n), n)
    matcher.setOptions({ bufferSize: 2 })
    assert.deepEqual(
      matcher.drops().map(({ message, reason }) => [message, reason]),
      [
        [0, 'full'],
        [1, 'full'],
        [2, 'full'],
      ],
    )
    assert.equal(matcher.stats().buffered, 2)
  })
})
