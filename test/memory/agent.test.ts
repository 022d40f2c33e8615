import assert from 'node:assert/strict'
import { memory } from '../../nodes'

const DAY_MS = 86_400_000

describe('memory.AgentMemory', () => {
  let db: memory.Database
  let agent: memory.AgentMemory
  let time = 0

  beforeEach(async () => {
    time = Date.UTC(2026, 0, 1)
    db = await memory.Database.open()
    agent = new memory.AgentMemory(db, 'tester', { now: () => time })
  })
  afterEach(() => db.close())

  const texts = (found: memory.Memory[]) => found.map(({ text }) => text)

  it('recalls by meaning, each kind with its importance', async () => {
    const fact = await agent.learn('Pump two takes oil of grade 46', { data: { pump: 2 } })
    await agent.remember('The inspector came at noon', { importance: 0.9 })
    await agent.procedure('To change a filter first close the valve', { importance: 0.9 })
    const [first, ...others] = await agent.recall('which lubricant does the pump need?')
    assert.deepEqual([first?.id, first?.kind, first?.importance, first?.data], [fact, 'fact', 0.9, { pump: 2 }])
    assert.equal(others.length, 2)
    assert.deepEqual(await agent.get(fact), {
      ...{ id: fact, kind: 'fact', text: 'Pump two takes oil of grade 46', importance: 0.9 },
      ...{ tags: [], time, uses: 1, data: { pump: 2 } },
    })
    // Another agent has a memory of its own.
    assert.deepEqual(await new memory.AgentMemory(db, 'other').recall('oil'), [])
  })

  it('explains its scores, and takes other weights', async () => {
    await agent.remember('The mill stopped', { importance: 0.2 })
    time += 30 * DAY_MS
    const [first] = await agent.recall('The mill stopped')
    assert.ok(first)
    const { similarity, importance, recency, use } = first.why
    assert.ok(similarity > 0.999)
    assert.deepEqual([importance, recency, use], [0.2, Math.exp(-1), 0])
    assert.ok(Math.abs(first.score - (0.4 * similarity + 0.3 * 0.2 + 0.2 * Math.exp(-1))) < 1e-9)
    const weights = { similarity: 0, importance: 0, recency: 0, use: 1 }
    assert.equal((await agent.recall('The mill stopped', { weights }))[0]?.score, 0.1)
    const own = new memory.AgentMemory(db, 'tester', { now: () => time, weights })
    assert.equal((await own.recall('The mill stopped'))[0]?.score, 0.2)
  })

  it('newer, more important and more used ones come first', async () => {
    const old = await agent.remember('The mill stopped')
    time += 60 * DAY_MS
    const recent = await agent.remember('The mill stopped')
    const important = await agent.remember('The mill stopped', { importance: 1 })
    const ids = async () => (await agent.recall('The mill stopped')).map(({ id }) => id)
    assert.deepEqual(await ids(), [important, recent, old])
    const uses = { similarity: 0, importance: 0, recency: 0, use: 1 }
    await agent.recall('The mill stopped', { limit: 1, since: time, weights: { recency: 1 } })
    assert.equal((await agent.recall('The mill stopped', { weights: uses }))[0]?.uses, 2)
  })

  it('counts each use, also of recalls at one time', async () => {
    const id = await agent.learn('The mill stopped')
    const other = new memory.AgentMemory(db, 'tester')
    await Promise.all([agent, other, agent, other].map((one) => one.recall('mill')))
    assert.equal((await agent.get(id)).uses, 4)
  })

  it('refuses what is mistyped', async () => {
    await agent.learn('The mill stopped')
    const cases: memory.RecallOptions[] = [
      { limit: -1 },
      { limit: 1.5 },
      { kinds: ['facts' as never] },
      { tags: 'mill' as never },
      { weights: { similarity: Number.NaN } },
      { weights: { similarty: 1 } as never },
      { weights: 5 as never },
      { weights: null as never },
      { weights: [] as never },
      { weights: { use: '1' as never } },
      { kinds: '' as never },
      5 as never,
      { kind: 'fact' } as never,
      { limits: 1 } as never,
    ]
    for (const options of cases) {
      await assert.rejects(agent.recall('mill', options), { code: 'INVALID_OPTION' })
      await assert.rejects(agent.context('mill', 100, options), { code: 'INVALID_OPTION' })
    }
    await assert.rejects(agent.consolidate({ duplicat: 0.1 } as never), { code: 'INVALID_OPTION' })
    await assert.rejects(agent.consolidate({ duplicate: Number.POSITIVE_INFINITY }), { message: /^duplicate is Inf/ })
    for (const budget of [Number.NaN, -1, '5' as never]) {
      await assert.rejects(agent.context('mill', budget), { code: 'INVALID_OPTION' })
    }
    await assert.rejects(agent.remember('x', { tags: 'mill' as never }), { code: 'INVALID_OPTION' })
    await assert.rejects(agent.recall('mill', { weights: 5 as never }), /the options of weights are 5/)
    await assert.rejects(agent.recall(5 as never), { code: 'INVALID_INPUT', message: /the question is 5/ })
    assert.deepEqual(await agent.recall('mill', { limit: 0 }), [])
  })

  it('recalls only what is asked for', async () => {
    await agent.remember('The mill stopped', { tags: ['mill', 'stop'] })
    await agent.learn('The mill has three stones', { tags: ['mill'] })
    time += DAY_MS
    await agent.remember('The mill runs again', { tags: ['mill'] })
    const cases: [options: memory.RecallOptions, count: number][] = [
      [{ kinds: ['fact'] }, 1],
      [{ kinds: ['fact', 'procedure', 'episode'] }, 3],
      [{ tags: ['mill', 'stop'] }, 1],
      [{ tags: ['none'] }, 0],
      [{ since: time }, 1],
      [{ since: new Date(time + 1) }, 0],
      [{ limit: 2 }, 2],
    ]
    for (const [options, count] of cases) assert.equal((await agent.recall('mill', options)).length, count)
  })

  it('forgets', async () => {
    const id = await agent.remember('The mill stopped')
    assert.equal(await agent.forget(id), true)
    assert.equal(await agent.forget(id), false)
    assert.deepEqual(await agent.recall('The mill stopped'), [])
    await assert.rejects(agent.get(id), { code: 'KEY_NOT_FOUND' })
  })

  it('fills a budget of tokens', async () => {
    await agent.learn('Pump two takes oil of grade 46')
    await agent.learn('The valve opens to the left')
    await agent.learn('A very long story of a pump that nobody wanted to hear, since it went on and on and on and on')
    const { text, ids } = await agent.context('pump oil', 20)
    assert.equal(text, '- Pump two takes oil of grade 46\n- The valve opens to the left')
    assert.equal((await agent.get(ids[0] as string)).uses, 1)
    assert.deepEqual(await agent.context('pump oil', 3), { text: '', ids: [] })
  })

  it('consolidates what says the same and what is faded, and takes it back', async () => {
    const weak = await agent.remember('The mill stopped', { importance: 0.3 })
    const faded = await agent.remember('The inspector came at noon')
    const important = await agent.remember('A flood reached the gate', { importance: 0.9 })
    time += 100 * DAY_MS
    const strong = await agent.remember('The mill stopped', { importance: 0.6 })
    const fact = await agent.learn('The mill stopped')
    assert.deepEqual((await agent.consolidate({ duplicate: 1.1, fadeImportance: 0.2 })).faded, [])
    await assert.rejects(agent.consolidate({ fadeUses: -1 }), { code: 'INVALID_OPTION' })
    const done = await agent.consolidate()
    assert.deepEqual(done, { merged: [{ kept: strong, gone: weak }], faded: [faded] })
    const left = (await agent.recall('mill', { limit: 100 })).map(({ id }) => id)
    assert.deepEqual(left.sort(), [important, strong, fact].sort())
    assert.deepEqual(await agent.consolidate(), { merged: [], faded: [] })
    assert.deepEqual(await agent.undo(done), { restored: [weak, faded], skipped: [] })
    assert.equal((await agent.recall('mill', { limit: 100 })).length, 5)
    assert.deepEqual(texts([await agent.get(faded)]), ['The inspector came at noon'])
    assert.deepEqual(await agent.undo(done), { restored: [], skipped: [weak, faded] })
  })

  it('consolidates nothing into what lacks one of its tags', async () => {
    const both = await agent.learn('The pump leaks', { tags: ['pump', 'leak'] })
    await agent.learn('The pump leaks', { tags: ['pump'], importance: 0.3 })
    const other = await agent.learn('The pump leaks', { tags: ['oil'], importance: 0.3 })
    assert.equal((await agent.consolidate()).merged.length, 1)
    const left = async (tag: string) => (await agent.recall('leak', { tags: [tag] })).map(({ id }) => id)
    assert.deepEqual([await left('pump'), await left('oil')], [[both], [other]])
  })

  it('consolidates nothing more important or newer into what is less', async () => {
    await agent.learn('The emergency stop is red', { importance: 0.1, tags: ['safety', 'misc'] })
    await agent.learn('The door is green', { tags: ['door', 'misc'] })
    time += 1000
    await agent.learn('The emergency stop is red', { importance: 1, tags: ['safety'] })
    await agent.learn('The door is green', { tags: ['door'] })
    assert.deepEqual((await agent.consolidate()).merged, [])
  })

  it('passes over what is forgotten while it consolidates, and keeps what nothing says any more', async () => {
    const search = db.search.bind(db)
    const during = async (forgotten: string) => {
      db.search = async (...asked) => {
        db.search = search
        assert.equal(await agent.forget(forgotten), true)
        return search(...asked)
      }
      return agent.consolidate()
    }
    const strong = await agent.learn('The mill stopped', { importance: 1 })
    const weak = await agent.learn('The mill stopped')
    const unsaid = await agent.learn('The door is green', { importance: 0.85 })
    const old = await agent.remember('The valve opens to the left')
    time += 100 * DAY_MS
    const done = { merged: [{ kept: strong, gone: weak }], faded: [] }
    for (const forgotten of [old, unsaid]) {
      const found = await during(forgotten)
      assert.deepEqual(found, done)
      await agent.undo(found)
    }
    assert.deepEqual(await during(strong), { merged: [], faded: [] })
    assert.deepEqual(texts(await agent.recall('mill')), ['The mill stopped'])
    assert.deepEqual((await db.keys('agent:tester#archive')).keys, [])
  })

  it('takes back all but what is forgotten or back, and only what is a consolidation', async () => {
    const ids: string[] = []
    for (const place of ['gate', 'hall', 'yard', 'roof'])
      ids.push(await agent.remember(`The inspector saw the ${place}`))
    time += 100 * DAY_MS
    const done = await agent.consolidate()
    assert.deepEqual(done.faded.toSorted(), ids.toSorted())
    const [first = '', second = '', ...others] = done.faded
    await agent.undo({ merged: [], faded: [first, first] })
    await agent.forget(second)
    assert.deepEqual(await agent.undo(done), { restored: others, skipped: [first, second] })
    assert.equal((await agent.recall('inspector')).length, 3)
    for (const wrong of [{}, null, 'x', { merged: [null], faded: [] }, { merged: [], faded: [7] }]) {
      await assert.rejects(agent.undo(wrong as never), { code: 'INVALID_INPUT' }, JSON.stringify(wrong))
    }
  })

  it('forgets what is in the archive, too', async () => {
    const faded = await agent.remember('The inspector came at noon')
    time += 100 * DAY_MS
    const done = await agent.consolidate()
    assert.deepEqual(done.faded, [faded])
    assert.deepEqual([await agent.forget(faded), await agent.forget(faded)], [true, false])
    assert.deepEqual(await agent.undo(done), { restored: [], skipped: [faded] })
  })

  it('refuses what is no agent', () => {
    const wrong: [id: unknown, options?: unknown][] = [
      [undefined],
      [''],
      [7],
      ['a', { weigths: {} }],
      ['a', { embedder: { model: 'own', embed: 7 } }],
      ['a', null],
      ['a', { weights: 5 }],
      ['a', { weights: { use: Number.NaN } }],
      ['a', { now: 5 }],
    ]
    for (const [id, options] of wrong) {
      const make = () => new memory.AgentMemory(db, id as never, options as never)
      assert.throws(make, { code: 'INVALID_OPTION' }, JSON.stringify([id, options]))
    }
    assert.throws(() => new memory.AgentMemory({} as never, 'a'), { code: 'INVALID_OPTION' })
  })

  it('refuses what cannot be remembered; takes another embedder', async () => {
    for (const options of [{ importance: 2 }, { importance: '0.5' }, { importence: 1 }]) {
      for (const method of ['remember', 'learn', 'procedure'] as const) {
        await assert.rejects(agent[method]('x', options as never), { code: 'INVALID_OPTION' })
      }
    }
    for (const text of ['', [1, 0], undefined]) {
      await assert.rejects(agent.remember(text as string), { code: 'INVALID_INPUT' })
    }
    for (const at of [1n, '\ud83d']) {
      const refused = (error: { code: string; message: string }) =>
        error.code === 'INVALID_INPUT' && error.message.startsWith('data.at ')
      await assert.rejects(agent.remember('x', { data: { at } }), refused)
    }
    assert.deepEqual((await db.namespaces()).namespaces, [])
    const embedder = { model: 'own', dimensions: 2, embed: async () => Float32Array.of(1, 0) }
    const other = new memory.AgentMemory(db, 'own', { embedder })
    await other.remember('anything')
    assert.deepEqual(texts(await other.recall('something else')), ['anything'])
    // Those that are there are not asked for again: a server may want money for each.
    await other.remember('nothing')
    embedder.embed = async () => assert.fail('there are vectors')
    assert.equal((await other.consolidate()).merged.length, 1)
  })
})
