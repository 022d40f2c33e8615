import assert from 'node:assert/strict'
import { type Outcome, Writes } from '../../nodes/memory/lib/batches'

/** Of the engine, what crosses and when it is answered. */
class Engine {
  readonly crossings: { requests: unknown[][]; answer: () => void }[] = []

  write = (text: string) => this.cross(text)
  writeBytes = (bytes: Buffer) => this.cross(bytes.toString())

  private cross(text: string) {
    const requests = JSON.parse(text) as unknown[][]
    const outcomes = JSON.stringify(requests.map((request) => request.map((name) => [name, null])))
    return new Promise<unknown>((resolve) => {
      this.crossings.push({ requests, answer: () => resolve({ outcomes, failures: [] }) })
    })
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const long = (name: string) => JSON.stringify([name.repeat(100_000)])
const first = (outcomes: Outcome[]) => outcomes[0]?.[0]?.[0]

describe('writes that cross together', () => {
  let engine: Engine
  let writes: Writes
  const crossed = () => engine.crossings.map(({ requests }) => requests.length)

  beforeEach(() => {
    engine = new Engine()
    writes = new Writes(engine as never)
  })

  it('short ones wait for the crossing that is under way', async () => {
    const all = ['a', 'b', 'c'].map((name) => writes.add(JSON.stringify([name])))
    await turn()
    all.push(...['d', 'e'].map((name) => writes.add(JSON.stringify([name]))))
    await turn()
    assert.deepEqual(crossed(), [3])
    engine.crossings[0]?.answer()
    await turn()
    assert.deepEqual(crossed(), [3, 2])
    engine.crossings[1]?.answer()
    assert.deepEqual((await Promise.all(all)).map(first), ['a', 'b', 'c', 'd', 'e'])
  })

  it('long ones cross in two, so that the engine has the next while one is answered', async () => {
    const all = ['a', 'b', 'c'].map((name) => writes.add(long(name)))
    await turn()
    assert.deepEqual(crossed(), [2, 1])
    all.push(writes.add(long('d')))
    await turn()
    assert.deepEqual(crossed(), [2, 1])
    engine.crossings[0]?.answer()
    await turn()
    assert.deepEqual(crossed(), [2, 1, 1])
    for (const { answer } of engine.crossings) answer()
    assert.deepEqual((await Promise.all(all)).map(first), ['a', 'b', 'c', 'd'])
  })
})
