import assert from 'node:assert/strict'
import { SampleQueue } from '../../nodes/ros2/lib/queue'

const sample = (number: number, size: number) => ({ cdr: Buffer.alloc(size, number), receivedNs: 0n })

describe('ros2 queue', () => {
  it('the oldest gives way to count and to bytes', () => {
    const queue = new SampleQueue(3, 100)
    assert.equal(queue.push(sample(0, 10)), true)
    for (const number of [1, 2, 3, 4]) assert.equal(queue.push(sample(number, 10)), false)
    queue.push(sample(5, 85))
    assert.deepEqual(queue.counts(), { received: 6, dropped: 4 })
    const { samples, more } = queue.take(1)
    assert.deepEqual([samples[0]?.cdr[0], more], [4, true])
    queue.push(sample(6, 1000))
    assert.deepEqual([queue.take(10).samples.map(({ cdr }) => cdr[0]), queue.push(sample(7, 1))], [[6], true])
    queue.clear()
    assert.deepEqual(queue.take(10), { samples: [], more: false })
  })
})
