import assert from 'node:assert/strict'
import { EngineError, errorCodes, quote, toEngineError } from '../../nodes/shared/errors'

const coded = (code: unknown) => Object.assign(new Error('text'), { code })

const mapped: [title: string, thrown: unknown, code: string][] = [
  ...errorCodes.map((code): [string, unknown, string] => [`an error with ${code}`, coded(code), code]),
  ['a wrong argument', coded('InvalidArg'), 'INVALID_INPUT'],
  ['a string where none belongs', coded('StringExpected'), 'INVALID_INPUT'],
  ['a panic', coded('GenericFailure'), 'INTERNAL'],
  ['a code of Node.js', coded('ENOENT'), 'INTERNAL'],
  ['a name of every object', coded('toString'), 'INTERNAL'],
  ['a number as code', coded(5), 'INTERNAL'],
  ['an error without a code', new TypeError('x is not a function'), 'INTERNAL'],
  ['a text', 'thrown', 'INTERNAL'],
  ['nothing', undefined, 'INTERNAL'],
  ['null', null, 'INTERNAL'],
]

describe('toEngineError', () => {
  for (const [title, thrown, code] of mapped) {
    it(`${title} is ${code}`, () => {
      const error = toEngineError(thrown)
      assert.ok(error instanceof EngineError && error instanceof Error)
      assert.equal(error.code, code)
      assert.equal(error.cause, thrown)
      assert.equal(error.name, 'EngineError')
      assert.ok(Object.hasOwn(error, 'code') && Object.hasOwn(error, 'retryable'))
    })
  }

  it('leaves what is one already', () => {
    const error = new EngineError('CLOSED', 'closed')
    assert.equal(toEngineError(error), error)
  })
})

describe('quote', () => {
  const cases: [value: unknown, text: string][] = [
    ['text', "'text'"],
    [5, '5'],
    [5n, '5n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ a: [1] }, '{"a":[1]}'],
    [() => 5, 'a function'],
    [Symbol('s'), 'Symbol(s)'],
    [{ a: 5n }, '[object Object]'],
    ['x'.repeat(100), `'${'x'.repeat(76)}...`],
  ]
  for (const [value, text] of cases) it(`writes ${text.slice(0, 20)}`, () => assert.equal(quote(value), text))

  it('survives what cannot be written', () => {
    const ring: Record<string, unknown> = {}
    ring.self = ring
    assert.ok(quote(ring).length <= 80)
    assert.ok(quote(Object.create(null)).length <= 80)
    assert.ok(quote(Object.assign(Object.create(null), { a: 1n })).length <= 80)
  })
})
