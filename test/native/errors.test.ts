import assert from 'node:assert/strict'
import type * as Native from '#native'
import { EngineError, errorCodes, toEngineError } from '../../nodes/shared/errors'
import { engine, native } from '../../nodes/shared/native'

const retryable = ['BUFFER_FULL', 'TRANSPORT', 'TIMEOUT', 'CIRCUIT_OPEN', 'STORE_LOCKED', 'DISK_FULL', 'WORKER_LOST']

describe('errors of the binary', () => {
  for (const code of errorCodes) {
    it(`${code} arrives as it is, from both kinds of function`, async () => {
      const sync = caught(() => engine(() => native().fail(code)))
      const async = toEngineError(
        await native()
          .failLater(code)
          .then(assert.fail, (error: unknown) => error),
      )
      for (const error of [sync, async]) {
        assert.ok(error instanceof EngineError)
        // Catch nodes pass on only what is a property of the error's own.
        assert.ok(Object.hasOwn(error, 'code'))
        assert.deepEqual([error.code, error.retryable], [code, retryable.includes(code)])
        assert.ok(error.cause instanceof Error)
        assert.ok(error.message.length > 0 && error.message === (error.cause as Error).message)
      }
      assert.match(sync.stack ?? '', /errors\.test/)
    })
  }

  it('panics become INTERNAL, and the binary works on', async () => {
    for (let round = 0; round < 3; round += 1) {
      assert.equal(caught(() => engine(() => native().fail())).code, 'INTERNAL')
      const later = await native()
        .failLater()
        .then(assert.fail, (error: unknown) => error)
      assert.equal(toEngineError(later).code, 'INTERNAL')
    }
    assert.equal(native().engineVersion(), (require('../../package.json') as { version: string }).version)
  })

  const exchange = new Uint32Array(600)
  const matcher = () => native().SyncMatcher.open(JSON.stringify({ topics: [{ name: 'a' }] }), exchange)
  const wrong: [title: string, call: (binary: typeof Native) => unknown, code: string][] = [
    ['a number for a text', ({ SyncMatcher }) => SyncMatcher.open(5 as never, exchange), 'INVALID_INPUT'],
    ['nothing for a text', ({ SyncMatcher }) => SyncMatcher.open(undefined as never, exchange), 'INVALID_INPUT'],
    ['a list for an array', ({ SyncMatcher }) => SyncMatcher.open('{}', [] as never), 'INVALID_INPUT'],
    ['no JSON', ({ SyncMatcher }) => SyncMatcher.open('{', exchange), 'INVALID_OPTION'],
    ['JSON of another form', ({ SyncMatcher }) => SyncMatcher.open('[]', exchange), 'INVALID_OPTION'],
    ['a text for a topic', () => matcher().push('a' as never, 0n, 0), 'INVALID_INPUT'],
    ['a number for a stamp', () => matcher().push(0, 0 as never, 0), 'INVALID_INPUT'],
    ['a stamp out of range', () => matcher().push(0, 2n ** 63n, 0), 'INVALID_INPUT'],
    ['a code that is none', (binary) => binary.fail('NO_SUCH_CODE' as never), 'INVALID_INPUT'],
  ]
  for (const [title, call, code] of wrong) {
    it(`${title} is ${code}`, () => assert.equal(caught(() => engine(() => call(native()))).code, code))
  }

  it('an exchange that is too small harms nothing', () => {
    const small = native().SyncMatcher.open(JSON.stringify({ topics: [{ name: 'a' }] }), new Uint32Array(0))
    for (let slot = 0; slot < 100; slot += 1) small.push(0, BigInt(slot), slot)
    assert.equal(typeof small.take(), 'boolean')
    assert.equal(small.stats().received, 100)
  })
})

function caught(call: () => unknown): EngineError {
  try {
    call()
  } catch (error) {
    return error as EngineError
  }
  return assert.fail('nothing was thrown')
}
