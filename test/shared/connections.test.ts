import assert from 'node:assert/strict'
import { EngineError } from '../../nodes/shared/errors'
import { Lent } from '../../nodes/shared/lent'
import type { Link } from '../../nodes/shared/running'
import type { Seen } from './rig'
import { ask, nodeOf, run, stop } from './section'

describe('millrace-shared-connections', () => {
  afterEach(() => stop())

  it('tells of those in trouble first, and of no node without a connection', async () => {
    const states: Record<string, Link> = {
      b: { state: 'open' },
      c: { state: 'failed', error: { code: 'TRANSPORT', message: 'no way' } },
      d: { state: 'opening' },
    }
    await run(['a', 'b', 'c', 'd'], {
      open: ({ node }) => {
        if (node.id === 'a') throw new EngineError('INVALID_OPTION', 'wrong')
        return node.id
      },
      link: (id) => states[id] ?? { state: 'idle' },
    })
    nodeOf('b').warn('held back')
    const { connections, count, failed } = await ask('connections')
    assert.deepEqual([count, failed], [4, 2])
    const told = connections.map(({ id, state, error, last }: Seen) => [id, state, error?.code, last?.message])
    assert.deepEqual(told, [
      ['a', 'failed', 'INVALID_OPTION', 'wrong'],
      ['c', 'failed', 'TRANSPORT', undefined],
      ['d', 'opening', undefined, undefined],
      ['b', 'open', undefined, 'held back'],
    ])
    await stop()
    await run(['e'], {})
    assert.equal((await ask('connections')).count, 0)
  })

  it('stays small with 1,000 of them', async () => {
    const ids = Array.from({ length: 1000 }, (_, n) => `n${n}`)
    await run(ids, { link: (id) => ({ state: id === 'n999' ? 'failed' : 'ready', error: undefined }) })
    const { connections, count, failed } = await ask('connections')
    assert.deepEqual([connections.length, connections[0].id, count, failed], [50, 'n999', 1000, 1])
  })

  it('what is lent is idle, opening, open; failed until an opening succeeds; idle again', async () => {
    let answers = [() => Promise.reject(new EngineError('STORE_LOCKED', 'locked')), () => Promise.resolve('it')]
    const lent = new Lent(
      'test',
      () => (answers.shift() ?? assert.fail())(),
      async () => {},
    )
    assert.equal(lent.link.state, 'idle')
    const first = lent.get()
    assert.equal(lent.link.state, 'opening')
    await assert.rejects(first)
    assert.deepEqual([lent.link.state, lent.link.error?.code], ['failed', 'STORE_LOCKED'])
    await lent.get()
    assert.equal(lent.link.state, 'open')
    answers = []
    await lent.close()
    assert.equal(lent.link.state, 'idle')
  })
})
