import assert from 'node:assert/strict'
import type { Backlog } from '../../nodes/shared/running'
import { ask, run, stop } from './section'

describe('millrace-shared-backlog', () => {
  afterEach(() => stop())

  it('adds up what waits, the fullest first', async () => {
    const kept: Record<string, Backlog> = {
      a: { records: 1, bytes: 10, oldestMs: 2000, dropped: 0 },
      b: { records: 5, bytes: 50, oldestMs: 1000, dropped: 2 },
      c: { records: 0, bytes: 4, oldestMs: null, dropped: 0 },
    }
    // The last keeps nothing on the disk.
    await run(['a', 'b', 'c', 'd'], { backlog: (id) => kept[id] })
    const { keepers, count, total } = await ask('backlog')
    assert.deepEqual(total, { records: 6, bytes: 64, oldestMs: 1000, dropped: 2 })
    assert.deepEqual([count, keepers.map(({ id }: { id: string }) => id)], [3, ['b', 'a', 'c']])
    assert.deepEqual(keepers[0], { ...kept.b, id: 'b', shown: 'b', type: 'sample', name: 'B' })
  })

  it('where nothing waits, nothing is the oldest; not all of many are told', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `n${n}`)
    await run(ids, { backlog: () => ({ records: 0, bytes: 0, oldestMs: null, dropped: 0 }) })
    const { keepers, count, total } = await ask('backlog')
    assert.deepEqual([keepers.length, count, total.oldestMs], [50, 60, null])
  })
})
