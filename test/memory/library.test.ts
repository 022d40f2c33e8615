import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EngineError, memory } from '../../nodes'

describe('memory.Database', () => {
  let folder: string
  let db: memory.Database

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-memory-test-'))
    db = await memory.Database.open({ path: join(folder, 'db'), durability: 'sync' })
  })

  afterEach(async () => {
    await db.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('puts, gets, deletes and restores', async () => {
    const first = await db.put('n', 'a', { rpm: 900, tags: ['x'] })
    const second = await db.put('n', 'a', { rpm: 950, tags: [] })
    assert.equal(second.previous, first.version)
    assert.ok(second.time > first.time)
    assert.deepEqual(await db.get('n', 'a'), { rpm: 950, tags: [] })
    for (const at of [first.version, first.time]) {
      assert.deepEqual(await db.getAt('n', 'a', at), { rpm: 900, tags: ['x'] })
    }
    assert.deepEqual(await db.getAt('n', 'a', new Date(Date.now() + 1000)), { rpm: 950, tags: [] })
    const gone = await db.delete('n', 'a')
    assert.ok(gone)
    assert.equal(await db.delete('n', 'a'), null)
    await rejected(db.get('n', 'a'), 'KEY_NOT_FOUND')
    await rejected(db.getAt('n', 'a', '2001-01-01'), 'KEY_NOT_FOUND')
    await rejected(db.getAt('n', 'a', first.version.replaceAll(/[0-9a-f]/g, '0')), 'NOT_FOUND')
    assert.deepEqual(await db.keys('n'), { keys: [], next: null })
    assert.deepEqual(
      (await db.history('n', 'a')).map(({ version, deleted }) => [version, deleted]),
      [
        [gone.version, true],
        [second.version, false],
        [first.version, false],
      ],
    )
    assert.deepEqual(await db.history('n', 'a', { limit: 1, to: first.time }), [
      { ...first, deleted: false, value: { rpm: 900, tags: ['x'] } },
    ])
    assert.deepEqual(await db.diff('n', 'a', first.version, second.version), [
      { op: 'replace', path: '/rpm', from: 900, value: 950 },
      { op: 'remove', path: '/tags/0', from: 'x' },
    ])
    await db.restore('n', 'a', second.version)
    assert.equal(await db.contains('n', 'a'), true)
  })

  it('not found says what may be meant', async () => {
    await db.put('devices', 'temperature', 1)
    await db.put('n', 'other', 1)
    for (const call of [
      () => db.get('devices', 'temprature'),
      () => db.history('devices', 'temprature'),
      () => db.diff('devices', 'temprature', 0),
      () => db.restore('devices', 'temprature', Date.now()),
    ]) {
      const error = await rejected(call(), 'KEY_NOT_FOUND')
      assert.ok(error instanceof memory.KeyNotFoundError)
      assert.deepEqual(error.suggestions, [{ namespace: 'devices', key: 'temperature' }])
    }
    const error = await rejected(db.get('device', 'temperature'), 'KEY_NOT_FOUND')
    assert.deepEqual((error as memory.KeyNotFoundError).suggestions, [{ namespace: 'devices', key: 'temperature' }])
  })

  it('many calls of one turn have each their own answer', async () => {
    const puts = Array.from({ length: 100 }, (_, number) => db.put('n', `k${number}`, { number }))
    const stale = db.put('n', 'k1', 0, { ifVersion: null })
    await Promise.all(puts)
    await rejected(stale, 'CONFLICT')
    const gets = Array.from({ length: 110 }, (_, number) => db.get('n', `k${number}`).catch((error) => error.code))
    const found = await Promise.all(gets)
    assert.deepEqual(found[42], { number: 42 })
    assert.deepEqual(found.slice(100), Array(10).fill('KEY_NOT_FOUND'))
    await rejected(Promise.all([db.get('n', 'k1'), db.get('n', '')]), 'INVALID_INPUT')
  })

  it('what is wrong with one write concerns no other of its turn', async () => {
    const wrong = [
      db.put('n', 'b', 1, { ttlMs: '100' as never }),
      db.put('n', 'c', 1, { causes: 'x' as never }),
      db.put('n', 'd', 1, { ifVersion: 5 as never }),
      db.embed('n', 'b', [1, 0], null, { ttlMs: 'x' as never }),
    ]
    const right = [db.put('n', 'a', 1), db.embed('n', 'a', [1, 0])]
    for (const one of wrong) await rejected(one, 'INVALID_INPUT')
    await Promise.all(right)
    // A condition that was mistyped would be none.
    await rejected(db.put('n', 'a', 2, { ifversion: null } as never), 'INVALID_OPTION')
    await rejected(db.delete('n', 'a', { ttlMs: 1 } as never), 'INVALID_OPTION')
    assert.equal(await db.get('n', 'a'), 1)
  })

  it('gets of one turn may be more together than one answer holds', async function () {
    // It takes 2 GB.
    if (!process.env.MILLRACE_LONG) return this.skip()
    const path = join(folder, 'large')
    await using db = await memory.Database.open({ path })
    const large = 'x'.repeat((16 << 20) - 100)
    await db.put('n', 'a', large)
    const keys: string[] = Array(33).fill('a')
    await rejected(db.getMany('n', keys), 'TOO_LARGE')
    const gets = [...keys.map((key) => db.get<string>('n', key)), db.get<string>('n', 'none')]
    const missing = gets.pop() as Promise<string>
    await rejected(missing, 'KEY_NOT_FOUND')
    for (const get of gets) assert.equal((await get).length, large.length)
  })

  it('long writes cross beside each other, and are done in the order of their calls', async () => {
    const path = join(folder, 'long')
    await using db = await memory.Database.open({ path })
    const text = 'x'.repeat(1000)
    const calls = Array.from({ length: 30 }, (_, turn) =>
      turn % 3 === 2
        ? db.put('n', 'a', { turn })
        : db.putMany(
            'n',
            Array.from({ length: 100 }, (_, it) => [it === 50 ? 'a' : `k${it}`, { turn, text }] as const),
          ),
    )
    await Promise.all(calls)
    const history = await db.history('n', 'a')
    assert.deepEqual(
      history.map(({ value }) => (value as { turn: number }).turn),
      Array.from({ length: 30 }, (_, turn) => 29 - turn),
    )
  })

  it('writes are done in the order of their calls, and those before a close are done', async () => {
    const path = join(folder, 'ordered')
    const first = await memory.Database.open({ path })
    const all: Promise<unknown>[] = []
    for (let number = 0; number < 300; number += 1) {
      // Large ones take longer.
      all.push(first.put('n', 'k', { number, pad: 'x'.repeat(number % 7 === 0 ? 30_000 : 1) }))
      await nextTurn()
    }
    await Promise.all([first.close(), ...all])
    const again = await memory.Database.open({ path })
    const history = (await again.history('n', 'k')) as { value: { number: number } }[]
    assert.deepEqual(
      history.map(({ value }) => value.number),
      Array.from({ length: 300 }, (_, place) => 299 - place),
    )
    await again.close()
  })

  it('batches are atomic, and name a key once', async () => {
    const written = await db.putMany('n', [
      ['a', 1],
      ['b', null],
    ])
    assert.equal(written.length, 2)
    assert.deepEqual(await db.getMany('n', ['a', 'b', 'c']), [1, null, undefined])
    const version = written[0]?.version ?? ''
    await rejected(
      db.putBatch([
        { namespace: 'n', key: 'a' },
        { namespace: 'n', key: 'b', value: 2, ifVersion: version },
      ]),
      'CONFLICT',
    )
    await rejected(
      db.putMany('n', [
        ['c', 1],
        ['c', 2],
      ]),
      'INVALID_INPUT',
    )
    const time = written[0]?.time ?? 0
    await db.putBatch([
      { namespace: 'n', key: 'a' },
      { namespace: 'm', key: 'x', value: 1, ttlMs: 60_000 },
    ])
    assert.deepEqual(await db.getMany('n', ['a', 'b']), [undefined, null])
    assert.deepEqual(await db.getMany('n', ['a', 'b'], { at: time }), [1, null])
    assert.deepEqual(await db.getMany('n', []), [])
    const { namespaces } = await db.namespaces()
    assert.deepEqual(
      namespaces.map(({ name, keys }) => [name, keys]),
      [
        ['m', 1],
        ['n', 1],
      ],
    )
  })

  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
  const cycle: Record<string, unknown> = { a: [] }
  cycle.a = [1, cycle]
  const refused: [title: string, value: unknown, path: string][] = [
    ['nothing', undefined, 'value '],
    ['nothing in an array', { a: [1, undefined] }, 'value.a[1] '],
    ['a function', { a: { b: () => 1 } }, 'value.a.b '],
    ['a bigint', [1n], 'value[0] '],
    ['NaN', { a: Number.NaN }, 'value.a '],
    ['infinity', { a: -Infinity }, 'value.a '],
    ['a cycle', cycle, 'value.a[1] '],
    ['a symbol', { a: Symbol('a') }, 'value.a '],
    ['a map', { a: new Map() }, 'value.a '],
    ['typed numbers', { a: new Float32Array(2) }, 'value.a '],
    ['a date that is none', { a: new Date(Number.NaN) }, 'value.a '],
    ['half of a character', { a: ['x', '\\ud', 'y\ud83d'] }, 'value.a[2] '],
    ['half of a character in a name', { a: { 'y\udc00': 1 } }, 'a name in value.a '],
    ['what is nested too deep for questions', nested(120), `value${'[0]'.repeat(101)} `],
  ]
  for (const [title, value, path] of refused) {
    it(`refuses ${title} by its path`, async () => {
      for (const call of [db.put('n', 'a', value), Promise.resolve().then(() => db.putMany('n', [['a', value]]))]) {
        const error = await rejected(call, 'INVALID_INPUT')
        assert.ok(error.message.startsWith(path), error.message)
      }
      assert.equal(await db.contains('n', 'a'), false)
    })
  }

  const mistyped: [title: string, call: () => Promise<unknown>, code: string][] = [
    ['a value by another name', () => db.putBatch([{ namespace: 'n', key: 'a', val: 2 } as never]), 'INVALID_OPTION'],
    ['a value that is undefined', () => db.putBatch([{ namespace: 'n', key: 'a', value: undefined }]), 'INVALID_INPUT'],
    [
      'a condition by another name',
      () => db.putBatch([{ namespace: 'n', key: 'a', value: 2, ifversion: null } as never]),
      'INVALID_OPTION',
    ],
    ['an operation that is none', () => db.putBatch([null as never]), 'INVALID_OPTION'],
    ['a batch that is no list', () => db.putBatch({} as never), 'INVALID_INPUT'],
    ['documents that are no list', () => db.putMany('n', {} as never), 'INVALID_INPUT'],
    ['a document that is no pair', () => db.putMany('n', ['ab' as never]), 'INVALID_INPUT'],
    ['keys that are no list', () => db.getMany('n', 'a' as never), 'INVALID_INPUT'],
    ['a condition that is no version', () => db.put('n', 'a', 2, { ifVersion: Number.NaN as never }), 'INVALID_INPUT'],
    ['a condition that JSON leaves out', () => db.delete('n', 'a', { ifVersion: (() => 1) as never }), 'INVALID_INPUT'],
    ['a limit that JSON cannot say', () => memory.Database.open({ diskBytes: Number.NaN }), 'INVALID_INPUT'],
    ['a retention that is a list', () => db.retain('n', [1] as never), 'INVALID_OPTION'],
    ['an empty folder name', () => memory.Database.open({ path: '' }), 'INVALID_OPTION'],
  ]
  for (const [title, call, code] of mistyped) {
    it(`refuses ${title}, and nothing is lost`, async () => {
      await db.put('n', 'a', 1)
      await assert.rejects(call(), { code })
      assert.equal(await db.get('n', 'a'), 1)
    })
  }

  /** Of each method what may be given: whatever is none of it is told by its name, as it was given. */
  const options: [names: string[], call: (options: never) => unknown][] = [
    [['at'], (options) => db.getMany('n', ['a'], options)],
    [['limit', 'from', 'to', 'values'], (options) => db.history('n', 'a', options)],
    [['prefix', 'after', 'limit'], (options) => db.keys('n', options)],
    [['prefix', 'after', 'limit'], (options) => db.namespaces(options)],
    [['prefix', 'select', 'offset', 'limit', 'after', 'asOf', 'groupBy'], (options) => db.query('n', options)],
    [['prefix', 'select', 'offset', 'limit', 'after', 'asOf', 'groupBy'], (query) => db.createView('v', 'n', query)],
    [['namespace', 'prefix', 'filter', 'since'], (options) => db.watch(options).next()],
    [['versions', 'ageMs'], (options) => db.retain('n', options)],
    [['namespace', 'history'], (options) => db.export(join(folder, 'lines'), options)],
    [['embedder', 'model', 'ttlMs'], (options) => db.embed('n', 'a', 'oil', null, options)],
    [['topK', 'metric', 'threshold', 'prefix', 'filter', 'text', 'words'], (it) => db.search('n', 'oil', it)],
    [['durability', 'batchMs', 'memoryBytes', 'repair'], (config) => memory.Database.open(config)],
  ]
  it('tells each option that cannot be by its name', async () => {
    await db.embed('n', 'z', 'oil')
    for (const [names, call] of options) {
      for (const given of [5, 'x', null, [], [1], { nothing: 1 }]) {
        await rejected(
          Promise.resolve().then(() => call(given as never)),
          'INVALID_OPTION',
        )
      }
      for (const name of names) {
        for (const value of [{}, Number.NaN, 1n, -1, () => 1]) {
          // A filter may ask for nothing.
          if (name === 'filter' && typeof value === 'object') continue
          // Scores may be below zero.
          if (name === 'threshold' && value === -1) continue
          const made = Promise.resolve().then(() => call({ [name]: value } as never))
          const error = await rejected(made, 'INVALID_OPTION', 'INVALID_INPUT')
          assert.match(error.message, new RegExp(`\\b${name === 'groupBy' ? 'groupBy|aggregate' : name}\\b`))
        }
      }
    }
    const named: [call: () => unknown, said: RegExp][] = [
      [() => db.backup('' as never), /folder of the backup is ''/],
      [() => db.import(undefined as never), /the path is undefined/],
      [() => db.export(5 as never), /the path is 5/],
      [() => db.view(undefined as never), /name of the view is undefined/],
      [() => db.embeddingInfo(undefined as never), /namespace undefined/],
      [() => db.embedding(undefined as never, 'a'), /namespace undefined/],
      [() => db.deleteEmbedding(undefined as never, 'a'), /namespace undefined/],
      [() => db.search('', 'oil'), /namespace ''/],
      [() => db.causes(5 as never), /options of a cause are 5/],
      [() => memory.Database.restoreBackup(5 as never, 'x'), /folder of the backup is 5/],
    ]
    for (const [call, said] of named) {
      const error = await rejected(Promise.resolve().then(call), 'INVALID_OPTION', 'INVALID_INPUT')
      assert.match(error.message, said)
    }
  })

  it('what JSON leaves out or makes texts of is kept as JSON does', async () => {
    const same = { shared: 1 }
    await db.put('n', 'a', { gone: undefined, when: new Date(0), one: same, two: same })
    assert.deepEqual(await db.get('n', 'a'), { when: '1970-01-01T00:00:00.000Z', one: same, two: same })
    const odd = ['\\ud83d', '\u{1f600}', nested(98)]
    await db.put('n', 'b', { odd })
    assert.equal((await db.query('n', { filter: { odd: { contains: '\\ud83d' } } })).rows.length, 1)
  })

  it('refuses names with half of a character, which would be one name', async () => {
    await rejected(db.put('n', '\ud800', 1), 'INVALID_INPUT')
    await db.put('n', '\ufffd', 1)
    await rejected(db.get('n', '\ud800'), 'INVALID_INPUT')
    await rejected(db.get('\ud800', 'a'), 'INVALID_INPUT')
    await rejected(db.embed('n', 'a', [1], { half: '\ud800' }), 'INVALID_INPUT')
    await rejected(db.embed('n', 'a', 'half \ud800'), 'INVALID_INPUT')
  })

  it('queries, indexes and views', async () => {
    await db.putMany(
      'n',
      Array.from({ length: 50 }, (_, number) => [`k${number}`, { number, site: `s${number % 5}` }]),
    )
    await db.createIndex('n', 'site')
    assert.deepEqual(await db.indexes('n'), ['site'])
    const found = await db.query('n', {
      filter: { site: 's1', number: { lt: 20 } },
      sort: [{ path: 'number' }],
      limit: 2,
    })
    assert.deepEqual(
      found.rows.map(({ key }) => key),
      ['k1', 'k6'],
    )
    assert.deepEqual([found.plan.index, found.plan.scanned, found.next], ['site', 10, 'o:2'])
    const sums = await db.query<{ site: string; sum: number }>('n', {
      aggregate: { sum: { sum: 'number' } },
      groupBy: ['site'],
    })
    assert.deepEqual(sums.rows[0], { site: 's0', sum: 225 })
    await db.createView('v', 'n', { filter: { site: 's2' }, select: ['number'] })
    assert.equal((await db.view('v')).rows.length, 10)
    await db.delete('n', 'k2')
    assert.deepEqual((await db.view('v')).rows.length, 9)
    assert.deepEqual(
      (await db.views()).map(({ name }) => name),
      ['v'],
    )
    await db.dropView('v')
    await db.dropIndex('n', 'site')
    await rejected(db.view('v'), 'NOT_FOUND')
    await rejected(db.query('n', { filter: { a: { like: 1 } } }), 'INVALID_INPUT')
    await rejected(db.query('n', { folter: {} } as never), 'INVALID_OPTION')
    await rejected(db.query('n', { asOf: 'never' }), 'INVALID_INPUT')
  })

  it('a watch hears what happens, and resumes', async () => {
    const first = await db.put('n', 'a', 1)
    const watch = db.watch({ namespace: 'n' })
    const next = watch.next()
    await new Promise((resolve) => setImmediate(resolve))
    const second = await db.put('n', 'b', { x: 1 })
    assert.deepEqual((await next).value, { namespace: 'n', key: 'b', ...second, deleted: false, value: { x: 1 } })
    await db.delete('n', 'a')
    const heard: string[] = []
    for await (const event of db.watch({ since: first.version })) {
      assert.ok('key' in event)
      heard.push(event.key)
      if (event.deleted) break
    }
    assert.deepEqual(heard, ['b', 'a'])
    const waiting = watch.next().then(() => watch.next())
    await db.close()
    assert.deepEqual(await waiting, { done: true, value: undefined })
    await rejected(db.watch({ filter: { a: {} } }).next(), 'CLOSED')
  })

  it('lineage', async () => {
    const a = await db.put('n', 'a', 1)
    const cause = { namespace: 'n', key: 'a', version: a.version }
    const b = await db.put('n', 'b', 2, { causes: [cause] })
    assert.deepEqual(await db.effects(cause), [{ namespace: 'n', key: 'b', version: b.version, steps: 1 }])
    assert.deepEqual(await db.causes({ namespace: 'n', key: 'b', version: b.version }), [{ ...cause, steps: 1 }])
  })

  it('copies, checks, retains', async () => {
    for (let number = 0; number < 5; number += 1) await db.put('n', 'a', number)
    await db.retain('n', { versions: 2 })
    assert.equal(await db.compact(), 3)
    assert.deepEqual(await db.verify(), { documents: 1, versions: 2, problems: [] })
    const backup = join(folder, 'backup')
    assert.deepEqual(await db.backup(backup), { documents: 1, versions: 2 })
    await memory.Database.restoreBackup(backup, join(folder, 'restored'))
    await using restored = await memory.Database.open({ path: join(folder, 'restored') })
    assert.equal(await restored.get('n', 'a'), 4)
    const lines = join(folder, 'lines.ndjson')
    await db.export(lines)
    await restored.import(lines)
    assert.equal((await restored.history('n', 'a')).length, 3)
    await restored.sync()
    const { keys, versions, diskBytes } = await restored.stats()
    assert.deepEqual([keys, versions, diskBytes > 0], [1, 3, true])
    await rejected(memory.Database.restoreBackup(join(folder, 'none'), join(folder, 'other')), 'INVALID_INPUT')
    const again = await rejected(db.backup(backup), 'INVALID_INPUT')
    assert.match(again.message, /backup: there is something already; name a folder that is new or empty/)
  })

  it('opens once, closes for good, and a temporary one leaves nothing', async () => {
    await rejected(memory.Database.open({ path: join(folder, 'db') }), 'STORE_LOCKED')
    await rejected(memory.Database.open({ durabilty: 'sync' } as never), 'INVALID_OPTION')
    await Promise.all([db.close(), db.close()])
    await rejected(db.put('n', 'a', 1), 'CLOSED')
    await rejected(db.get('n', 'a'), 'CLOSED')
    const temporary = await memory.Database.open()
    await temporary.put('n', 'a', 1)
    await temporary.close()
    assert.equal(existsSync(temporary.path), false)
    await (await memory.Database.open({ path: join(folder, 'db') })).close()
  })
})

async function rejected(call: Promise<unknown>, ...codes: string[]): Promise<EngineError> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof EngineError, String(error))
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    return error
  }
  return assert.fail(`nothing was rejected with ${codes.join(' or ')}`)
}
