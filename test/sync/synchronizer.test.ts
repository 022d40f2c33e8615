import assert from 'node:assert/strict'
import { sync } from '../../nodes'

const ms = (value: number) => BigInt(Math.round(value * 1e6))
type Push = [topic: string, ms: number]

/** Pushes messages that are called by topic and time. */
function run(matcher: sync.Synchronizer<string>, pushes: Push[]): string[] {
  return pushes.map(([topic, time]) => matcher.push(topic, ms(time), `${topic}${time}`))
}

const told = (drops: sync.Dropped<string>[]) =>
  drops.map(({ message, reason, refused }) => `${message} ${reason}${refused ? ' refused' : ''}`)

const outcomes: {
  title: string
  options?: sync.SyncOptions
  pushes: Push[]
  last: sync.PushOutcome
  drops?: string[]
}[] = [
  { title: 'accepted', pushes: [['a', 0]], last: 'accepted' },
  {
    title: 'late, behind the last group',
    pushes: [
      ['a', 50],
      ['b', 50],
      ['a', 40],
    ],
    last: 'late',
    drops: ['a40 late refused'],
  },
  {
    title: 'out of order',
    pushes: [
      ['a', 50],
      ['a', 40],
    ],
    last: 'out-of-order',
    drops: ['a40 out-of-order refused'],
  },
  {
    title: 'equal and refused',
    pushes: [
      ['a', 50],
      ['a', 50],
    ],
    last: 'out-of-order',
    drops: ['a50 out-of-order refused'],
  },
  {
    title: 'equal and accepted in place of the earlier',
    options: { equalStamps: 'replace' },
    pushes: [
      ['a', 50],
      ['a', 50],
    ],
    last: 'accepted',
    drops: ['a50 replaced'],
  },
  { title: 'of an unknown topic', pushes: [['x', 0]], last: 'unknown-topic', drops: ['x0 unknown-topic refused'] },
  {
    title: 'refused by a full buffer',
    options: { bufferSize: 2, drop: 'reject-new' },
    pushes: [
      ['a', 0],
      ['a', 1],
      ['a', 2],
    ],
    last: 'full',
    drops: ['a2 full refused'],
  },
  {
    title: 'accepted by a full buffer that lets the oldest go',
    options: { bufferSize: 2 },
    pushes: [
      ['a', 0],
      ['a', 1],
      ['a', 2],
    ],
    last: 'accepted',
    drops: ['a0 full'],
  },
  {
    title: 'a clock jump that is refused',
    options: { onClockJump: 'refuse' },
    pushes: [
      ['a', 5000],
      ['a', 0],
    ],
    last: 'clock-jump',
    drops: ['a0 clock-jump refused'],
  },
  {
    title: 'a clock jump that begins anew',
    pushes: [
      ['a', 5000],
      ['a', 0],
    ],
    last: 'clock-jump',
    drops: ['a5000 clock-jump'],
  },
]

describe('Synchronizer: pushes', () => {
  for (const { title, options, pushes, last, drops = [] } of outcomes) {
    it(title, () => {
      const matcher = new sync.Synchronizer<string>(['a', 'b'], options)
      assert.equal(run(matcher, pushes).at(-1), last)
      assert.deepEqual(told(matcher.drops()), drops)
      const heard: sync.Dropped<string>[] = []
      run(new sync.Synchronizer<string>(['a', 'b'], options, (dropped) => heard.push(dropped)), pushes)
      assert.deepEqual(told(heard), drops)
    })
  }

  it('takes numbers only where they are exact', () => {
    const matcher = new sync.Synchronizer<number>(['a'], { windowMs: null })
    for (const stamp of [-1, 0, Number.MAX_SAFE_INTEGER]) assert.equal(matcher.push('a', stamp, stamp), 'accepted')
    const wrong = [2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null, undefined, {}, true]
    for (const stamp of wrong) {
      assert.throws(() => matcher.push('a', stamp as number, 0), { name: 'EngineError', code: 'INVALID_TIMESTAMP' })
    }
    assert.equal(matcher.stats().received, 3)
  })

  it('takes stamps between -2^62 and 2^62', () => {
    const limit = 2n ** 62n - 1n
    const matcher = new sync.Synchronizer<string>(['a', 'b'], { windowMs: null })
    for (const stamp of [limit + 1n, -limit - 1n, 2n ** 63n, 2n ** 64n, 2n ** 200n]) {
      assert.throws(() => matcher.push('a', stamp, ''), { code: 'INVALID_TIMESTAMP' })
    }
    matcher.push('a', -limit, 'first')
    matcher.push('b', limit, 'last')
    matcher.flush()
    const group = matcher.poll()
    assert.deepEqual([group?.timestampNs, group?.skewNs], [-limit, 2n * limit])
  })

  it('keeps messages by reference', () => {
    const matcher = new sync.Synchronizer<Buffer>(['a', 'b'])
    const [image, scan] = [Buffer.alloc(8_000_000), Buffer.alloc(1)]
    matcher.push('a', 0n, image)
    matcher.push('b', 0n, scan)
    const group = matcher.poll()
    assert.ok(group?.get('a') === image && group.get('b') === scan)
  })

  it('hears pushes out of onDrop', () => {
    const again = new sync.Synchronizer<string>(['a', 'b'], { bufferSize: 2 }, ({ reason }) => {
      if (reason === 'out-of-order') again.push('b', ms(20), 'b20')
    })
    run(again, [
      ['a', 10],
      ['a', 20],
      ['a', 15],
    ])
    assert.deepEqual(again.poll()?.toObject(), { a: 'a20', b: 'b20' })
  })
})

describe('Synchronizer: groups', () => {
  it('polls one, iterates all that are ready, and null means none', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'])
    run(matcher, [
      ['a', 0],
      ['b', 0],
      ['a', 100],
      ['b', 100],
      ['a', 200],
      ['b', 200],
    ])
    assert.deepEqual(matcher.poll()?.toObject(), { a: 'a0', b: 'b0' })
    assert.deepEqual(
      [...matcher].map((group) => group.get('a')),
      ['a100', 'a200'],
    )
    assert.equal(matcher.poll(), null)
    assert.deepEqual([...matcher], [])
  })

  it('optional messages on both sides of a group stay within the window together', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b', 'c'], { windowMs: 10, required: ['a'] })
    run(matcher, [
      ['c', 0],
      ['a', 8],
      ['b', 16],
    ])
    matcher.flush()
    const group = matcher.poll()
    assert.ok(group?.has('a') && group.skewNs <= ms(10), `the group is ${group?.skewNs} ns wide`)
  })

  it('flush ends the input: complete groups are ready, the rest is handed back', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'])
    run(matcher, [
      ['a', 0],
      ['b', 10],
      ['b', 300],
    ])
    matcher.flush()
    assert.deepEqual(
      [...matcher].map((group) => group.toObject()),
      [{ a: 'a0', b: 'b10' }],
    )
    assert.deepEqual(told(matcher.drops()), ['b300 flush'])
  })

  it('reset forgets the messages and the clocks', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'])
    run(matcher, [
      ['a', 500],
      ['b', 500],
      ['a', 600],
    ])
    matcher.reset()
    assert.equal(matcher.poll(), null)
    assert.deepEqual(told(matcher.drops()).sort(), ['a500 reset', 'a600 reset', 'b500 reset'])
    assert.deepEqual(
      run(matcher, [
        ['a', 0],
        ['b', 0],
      ]),
      ['accepted', 'accepted'],
    )
    assert.ok(matcher.poll())
  })

  it('hands back more drops in one call than one exchange holds', () => {
    const matcher = new sync.Synchronizer<number>(['a', 'b'], { bufferSize: 2000 })
    for (let n = 0; n < 1000; n += 1) matcher.push('a', BigInt(n), n)
    const heard: number[] = []
    const all = new sync.Synchronizer<number>(['a', 'b'], { bufferSize: 2000 }, ({ message }) => heard.push(message))
    for (let n = 0; n < 1000; n += 1) all.push('a', BigInt(n), n)
    all.reset()
    assert.deepEqual(
      heard,
      Array.from({ length: 1000 }, (_, n) => n),
    )
  })

  it('keeps a bounded number of drops that nobody asks for', () => {
    const matcher = new sync.Synchronizer<number>(['a'])
    for (let n = 0; n < 10_000; n += 1) matcher.push('x', 0n, n)
    const kept = matcher.drops()
    assert.ok(kept.length >= 128 && kept.length < 256)
    assert.equal(kept.at(-1)?.message, 9999)
    assert.deepEqual(matcher.drops(), [])
  })

  it('keeps all that a flush lets go at once', () => {
    const matcher = new sync.Synchronizer<number>(['a', 'b'], { bufferSize: 1000, windowMs: null })
    for (let n = 0; n < 500; n += 1) matcher.push('a', BigInt(n), n)
    matcher.flush()
    assert.equal(matcher.drops().length, 500)
  })

  it('tells everybody, also when one does not want to hear it', () => {
    const heard: number[] = []
    const matcher = new sync.Synchronizer<number>(['a', 'b'], {}, ({ message }) => {
      heard.push(message)
      throw new Error(`no ${message}`)
    })
    for (let n = 0; n < 5; n += 1) matcher.push('a', BigInt(n), n)
    assert.throws(() => matcher.reset(), { message: 'no 0' })
    assert.deepEqual(heard, [0, 1, 2, 3, 4])
  })

  it('counts a clock that jumped, with its topic', () => {
    const matcher = new sync.Synchronizer<number>(['a', 'b'])
    matcher.push('a', 10_000_000_000n, 1)
    assert.equal(matcher.push('a', 1n, 2), 'clock-jump')
    const { clockJumps, lastJump } = matcher.stats()
    assert.deepEqual([clockJumps, lastJump], [1, 'a'])
  })

  it('says why no group leaves', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'])
    const { blocked, topics } = matcher.matchStatus()
    assert.deepEqual([blocked, topics], ['waiting-for-data', ['a', 'b']])
    run(matcher, [
      ['a', 0],
      ['b', 10],
    ])
    assert.deepEqual(matcher.matchStatus(), {
      blocked: 'spread-too-narrow',
      topics: ['a'],
      infNs: ms(10),
      supNs: 0n,
      shortfallNs: 10_000_000,
    })
    run(matcher, [['a', 20]])
    assert.equal(matcher.matchStatus().blocked, 'ready')
  })

  it('lets a group go by the clock, and says when', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'], { maxDelayMs: 0.000001 })
    assert.equal(matcher.dueInMs(), null)
    run(matcher, [
      ['a', 0],
      ['b', 10],
    ])
    assert.ok(matcher.poll())
    matcher.setOptions({ maxDelayMs: 60_000 })
    run(matcher, [
      ['a', 100],
      ['b', 110],
    ])
    assert.equal(matcher.poll(), null)
    const due = matcher.dueInMs()
    assert.ok(due !== null && due > 0 && due <= 60_000)
    matcher.setOptions({ maxDelayMs: null })
    assert.equal(matcher.dueInMs(), null)
  })

  it('tells of a stall once, with its topics', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'], { stallMs: 0.000001 })
    assert.equal(matcher.stall(), null)
    run(matcher, [
      ['a', 0],
      ['a', 100],
    ])
    assert.deepEqual(matcher.stall(), ['b'])
    assert.equal(matcher.stall(), null)
  })

  it('counts what passes through it', () => {
    const matcher = new sync.Synchronizer<string>(['a', 'b'])
    run(matcher, [
      ['a', 0],
      ['b', 4],
      ['a', 8],
      ['a', 5000],
      ['b', 2],
      ['x', 0],
    ])
    assert.ok(matcher.poll())
    const { dropped, ...counts } = matcher.stats()
    assert.deepEqual(counts, {
      received: 6,
      grouped: 2,
      groups: 1,
      buffered: 2,
      clockJumps: 0,
      lastJump: null,
      meanSkewMs: 4,
      maxSkewMs: 4,
    })
    assert.deepEqual([dropped['out-of-order'], dropped['unknown-topic']], [1, 1])
  })
})
