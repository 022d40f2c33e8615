import assert from 'node:assert/strict'
import { sync } from '../../nodes'

function groupOf(stamps: Record<string, bigint>, options: sync.SyncOptions = {}): sync.SyncGroup<object> {
  const topics = Object.keys(stamps)
  const matcher = new sync.Synchronizer<object>([...topics, 'absent'], { required: topics, windowMs: null, ...options })
  for (const topic of topics.toReversed()) matcher.push(topic, stamps[topic] as bigint, { topic })
  matcher.flush()
  return matcher.poll() as sync.SyncGroup<object>
}

describe('SyncGroup', () => {
  it('knows its times', () => {
    const group = groupOf({ a: 30n, b: 10n, c: -5n })
    assert.equal(group.timestampNs, -5n)
    assert.equal(group.skewNs, 35n)
    assert.deepEqual(
      ['a', 'b', 'c', 'absent', 'other'].map((topic) => group.stampNs(topic)),
      [30n, 10n, -5n, undefined, undefined],
    )
  })

  it('lists its topics in the order in which they were declared', () => {
    assert.deepEqual(groupOf({ z: 1n, a: 2n, m: 0n }).topics(), ['z', 'a', 'm'])
  })

  it('has the messages themselves', () => {
    const group = groupOf({ a: 1n, b: 1n })
    assert.deepEqual(group.toObject(), { a: { topic: 'a' }, b: { topic: 'b' } })
    assert.equal(group.get('a'), group.toObject().a)
    assert.deepEqual([group.has('a'), group.has('absent'), group.get('absent')], [true, false, undefined])
  })

  it('takes names that mean something to objects for names', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '0', '']
    const named = groupOf(Object.fromEntries(names.filter(Boolean).map((name) => [name, 1n])))
    assert.deepEqual(Object.keys(named.toObject()).sort(), names.filter(Boolean).sort())
    assert.equal(Object.getPrototypeOf(named.toObject()), Object.prototype)
    assert.deepEqual(named.get('__proto__'), { topic: '__proto__' })
    for (const name of names) assert.equal(groupOf({ a: 1n }).has(name), false)
  })
})
