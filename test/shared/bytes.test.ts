import assert from 'node:assert/strict'
import { withBytes } from '../../nodes/shared/bytes'

/** A call that looks at its bytes when it is let go. */
function held(text: string) {
  let go = (_error?: Error) => {}
  let given: Buffer | undefined
  const gate = new Promise<void>((resolve, reject) => {
    go = (error) => (error ? reject(error) : resolve())
  })
  const done = withBytes(text, async (bytes) => {
    given = bytes
    await gate
    return bytes.toString()
  })
  return { done, go, memory: () => given?.buffer }
}

describe('texts as bytes', () => {
  for (const text of ['', 'plain', 'é 日本 🦆', 'x'.repeat(1_000_000), 'ü'.repeat(1_500_000)]) {
    it(`arrive whole: ${text.length} characters that begin with ${JSON.stringify(text.slice(0, 8))}`, async () => {
      assert.equal(await withBytes(text, async (bytes) => bytes.toString()), text)
    })
  }

  it('calls under way have memory of their own, which later ones have again', async () => {
    const [one, two] = [held('one'), held('two')]
    assert.notEqual(one.memory(), two.memory())
    const memory = one.memory()
    one.go()
    assert.equal(await one.done, 'one')
    const three = held('three')
    assert.equal(three.memory(), memory)
    for (const { go } of [two, three]) go()
    assert.deepEqual(await Promise.all([two.done, three.done]), ['two', 'three'])
  })

  it('after a failure nobody else has that memory: somebody may still look at it', async () => {
    const one = held('one')
    const memory = one.memory()
    one.go(new Error('closed'))
    await assert.rejects(one.done, /closed/)
    const others = ['two', 'three', 'four'].map(held)
    assert.ok(others.every((other) => other.memory() !== memory))
    for (const { go } of others) go()
    await Promise.all(others.map(({ done }) => done))
  })
})
