import assert from 'node:assert/strict'
import { Turns } from '../../nodes/shared/turns'

describe('turns', () => {
  it('are taken in order, one at a time, also behind one that fails', async () => {
    const turns = new Turns()
    const seen: string[] = []
    const call =
      (name: string, fails = false) =>
      async () => {
        seen.push(`${name} begins`)
        await new Promise((resolve) => setImmediate(resolve))
        seen.push(`${name} ends`)
        if (fails) throw new Error(name)
        return name
      }
    const [a, b] = [turns.take(call('a')), turns.take(call('b', true))]
    b.catch(() => {})
    const c = turns.take(() => {
      throw new Error('c')
    })
    c.catch(() => {})
    const d = turns.take(call('d'))
    assert.deepEqual(seen, [])
    await turns.ended()
    assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'd begins', 'd ends'])
    assert.deepEqual([await a, await d], ['a', 'd'])
    await assert.rejects(b, /b/)
    await assert.rejects(c, /c/)
    await new Turns().ended()
  })
})
