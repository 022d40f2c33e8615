/**
 * Random streams. MILLRACE_SEED repeats a run; MILLRACE_LONG makes them long.
 */
import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { sync } from '../../nodes'
import { generator } from '../shared/random'

const long = process.env.MILLRACE_LONG === '1'

describe('Synchronizer: random input', () => {
  const rounds = long ? 2000 : 100
  const first = Number(process.env.MILLRACE_SEED ?? 1)

  it(`accounts for every message, in ${rounds} runs of any options`, () => {
    for (let seed = first; seed < first + rounds; seed += 1) {
      try {
        oneRun(seed)
      } catch (error) {
        throw new Error(`with MILLRACE_SEED=${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  })

  it('its memory stays bounded', function () {
    this.timeout(300_000)
    const total = long ? 10_000_000 : 1_000_000
    const matcher = new sync.Synchronizer<{ topic: string; n: number }>(['a', 'b', 'c'], { windowMs: 20 })
    const random = generator(7)
    let n = 0
    let groups = 0
    const push = (count: number) => {
      for (const end = n + count; n < end; n += 1) {
        const topic = 'abcx'[Math.floor(random() * 3.02)] as string
        // The clock of the streams is set back now and then, and messages are dropped for every reason.
        const stamp = BigInt(n % 50_000) * 3_000_000n + BigInt(Math.floor(random() * 8_000_000))
        matcher.push(topic, stamp, { topic, n })
        for (const _ of matcher) groups += 1
      }
      collectGarbage()
      const { heapUsed, rss } = process.memoryUsage()
      return { heapUsed, rss }
    }
    push(total / 5)
    const before = push(total / 5)
    const after = push((total / 5) * 3)
    const { received, grouped, buffered, dropped } = matcher.stats()
    assert.equal(received, total)
    assert.equal(grouped + buffered + sum(dropped), total)
    assert.ok(groups > total / 100)
    assert.ok(after.heapUsed - before.heapUsed < 4e6, `heap: ${before.heapUsed} → ${after.heapUsed}`)
    assert.ok(after.rss - before.rss < 32e6, `rss: ${before.rss} → ${after.rss}`)
  })
})

/** Whatever is pushed comes back once: in a group, or with a reason; or it is still held. */
function oneRun(seed: number): void {
  const random = generator(seed)
  const pick = <V>(values: readonly V[]): V => values[Math.floor(random() * values.length)] as V
  const topics = ['a', 'b', 'c', '__proto__', 'e'].slice(0, pick([1, 2, 3, 5]))
  const options: sync.SyncOptions = {
    windowMs: pick([1, 20, null]),
    bufferSize: pick([2, 3, 16]),
    match: pick(['nearest', 'oldest']),
    drop: pick(['drop-oldest', 'reject-new']),
    timeoutMs: pick([null, 50]),
    equalStamps: pick(['refuse', 'replace']),
    onClockJump: pick(['reset', 'refuse']),
    clockJumpMs: pick([10, 1000]),
    learnPeriods: pick([true, false]),
    required: random() < 0.3 ? topics.slice(0, 1) : topics,
  }
  const heard: sync.Dropped<number>[] = []
  const matcher = new sync.Synchronizer<number>(topics, options, (dropped) => heard.push(dropped))
  const seen = new Map<number, string>()
  const meet = (message: number, where: string) => {
    assert.ok(!seen.has(message), `message ${message} left twice: ${seen.get(message)}, ${where}`)
    seen.set(message, where)
  }
  const settle = () => {
    for (const { message, reason } of heard.splice(0)) meet(message, reason)
    for (const group of matcher) {
      const stamps = group.topics().map((topic) => group.stampNs(topic) as bigint)
      const window = options.windowMs
      if (window) assert.ok(group.skewNs <= BigInt(window * 1e6), `a group is ${group.skewNs} ns wide`)
      assert.ok(stamps.includes(group.timestampNs))
      for (const topic of options.required ?? []) assert.ok(group.has(topic), `a group lacks ${topic}`)
      for (const topic of group.topics()) meet(group.get(topic) as number, 'group')
    }
  }
  const count = 300
  let clock = 0
  for (let n = 0; n < count; n += 1) {
    clock += random() * 10
    if (random() < 0.01) clock -= 2000
    const stamp = BigInt(Math.floor(clock + random() * 15)) * 1_000_000n
    matcher.push(random() < 0.02 ? 'x' : pick(topics), stamp, n)
    if (random() < 0.7) settle()
    if (random() < 0.01) matcher.flush()
    if (random() < 0.005) matcher.reset()
    if (random() < 0.01) matcher.setOptions({ windowMs: options.windowMs ?? null, bufferSize: pick([2, 8, 32]) })
    check(matcher, n + 1)
  }
  matcher.flush()
  settle()
  matcher.reset()
  settle()
  check(matcher, count)
  assert.equal(seen.size, count)
  assert.equal(matcher.stats().buffered, 0)
  const grouped = [...seen.values()].filter((where) => where === 'group').length
  assert.equal(matcher.stats().grouped, grouped)
}

function check(matcher: sync.Synchronizer<number>, pushed: number): void {
  const { received, grouped, buffered, dropped } = matcher.stats()
  assert.equal(received, pushed)
  assert.equal(grouped + buffered + sum(dropped), pushed)
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}
