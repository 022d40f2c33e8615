import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { NodeStatus } from 'node-red'
import { StatusLine, short } from '../../nodes/shared/status'

describe('StatusLine', () => {
  let shown: string[]
  let line: StatusLine
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] })
    shown = []
    line = new StatusLine({
      status: (status: string | NodeStatus) => void shown.push((status as { text: string }).text),
    })
  })
  afterEach(() => mock.reset())
  const show = (...texts: string[]) => {
    for (const text of texts) line.show(() => ({ text }))
  }

  it('shows the first at once, then the last of each second', () => {
    show('a', 'b', 'c')
    assert.deepEqual(shown, ['a'])
    mock.timers.tick(999)
    assert.deepEqual(shown, ['a'])
    mock.timers.tick(1)
    assert.deepEqual(shown, ['a', 'c'])
    show('d')
    mock.timers.tick(1000)
    assert.deepEqual(shown, ['a', 'c', 'd'])
  })

  it('shows only what changed', () => {
    show('a', 'b', 'a')
    mock.timers.tick(5000)
    show('a')
    assert.deepEqual(shown, ['a'])
  })

  it('asks for the text when it is shown, not before', () => {
    let count = 0
    line.show(() => ({ text: String(count) }))
    line.show(() => ({ text: String(count) }))
    count = 7
    mock.timers.tick(1000)
    assert.deepEqual(shown, ['0', '7'])
  })

  it('shows nothing once it is closed', () => {
    show('a', 'b')
    line.close()
    mock.timers.tick(5000)
    show('c')
    mock.timers.tick(5000)
    assert.deepEqual(shown, ['a'])
  })
})

describe('short', () => {
  const cases: [count: number, text: string][] = [
    [0, '0'],
    [999, '999'],
    [1000, '1.0k'],
    [1249, '1.2k'],
    [9949, '9.9k'],
    [9950, '10k'],
    [999_499, '999k'],
    [999_500, '1.0M'],
    [4_100_000, '4.1M'],
    [35_000_000_000, '35G'],
    [2e15, '2000T'],
  ]
  for (const [count, text] of cases) it(`${count} is ${text}`, () => assert.equal(short(count), text))
})
