import assert from 'node:assert/strict'
import { concerns } from '../../nodes/action/lib/rules'
import { fits } from '../../nodes/shared/pattern'

describe('a pattern', () => {
  const cases: [pattern: string, single: string, fit: string[], others: string[]][] = [
    ['pump', '', ['pump'], ['', 'pumps', 'a pump']],
    ['pump-*', '', ['pump-', 'pump-1', 'pump-*'], ['pump', 'a pump-1']],
    ['*-a-*', '', ['-a-', 'x-a-y', '-a-a-'], ['-a', 'a-']],
    ['*', '', ['', 'a\nb', '🌊'], []],
    ['a?c', '', ['a?c'], ['abc']],
    ['a?c', '?', ['abc', 'a?c', 'a🌊c'], ['ac', 'abbc']],
    ['a*b?', '?', ['abc', 'abbbx'], ['ab', 'a']],
    ['a.c$', '', ['a.c$'], ['abc']],
  ]
  for (const [pattern, single, fit, others] of cases) {
    it(`${JSON.stringify(pattern)} ${single && 'with single characters '}fits what it should`, () => {
      const fitting = fits(pattern, single)
      assert.deepEqual([...fit, ...others].filter(fitting), fit)
    })
  }

  it('takes its time with no name, where a regular expression would hang', () => {
    const name = 'a'.repeat(2000)
    for (const judge of [
      fits(`${'*a'.repeat(40)}b`),
      fits(`${'*?'.repeat(40)}b`, '?'),
      concerns(`${'*a'.repeat(40)}b`),
    ]) {
      assert.equal(judge(name), false)
    }
  })
})
