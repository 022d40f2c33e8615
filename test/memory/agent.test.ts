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
    ]
    for (const options of cases) await assert.rejects(agent.recall('mill', options), { code: 'INVALID_OPTION' })
    for (const budget of [Number.NaN, -1, '5' as never]) {
      await assert.rejects(agent.context('mill', budget), { code: 'INVALID_OPTION' })
    }
    await assert.rejects(agent.remember('x', { tags: 'mill' as never }), { code: 'INVALID_OPTION' })
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
    await agent.undo(done)
    assert.equal((await agent.recall('mill', { limit: 100 })).length, 5)
    assert.deepEqual(texts([await agent.get(faded)]), ['The inspector came at noon'])
    await assert.rejects(agent.undo(done), { code: 'NOT_FOUND' })
  })

  it('consolidates nothing into what lacks one of its tags', async () => {
    const both = await agent.learn('The pump leaks', { tags: ['pump', 'leak'] })
    await agent.learn('The pump leaks', { tags: ['pump'], importance: 0.3 })
    const other = await agent.learn('The pump leaks', { tags: ['oil'], importance: 0.3 })
    assert.equal((await agent.consolidate()).merged.length, 1)
    const left = async (tag: string) => (await agent.recall('leak', { tags: [tag] })).map(({ id }) => id)
    assert.deepEqual([await left('pump'), await left('oil')], [[both], [other]])
  })

  it('forgets what is in the archive, too', async () => {
    const faded = await agent.remember('The inspector came at noon')
    time += 100 * DAY_MS
    const done = await agent.consolidate()
    assert.deepEqual(done.faded, [faded])
    assert.deepEqual([await agent.forget(faded), await agent.forget(faded)], [true, false])
    await assert.rejects(agent.undo(done), { code: 'NOT_FOUND' })
  })

  it('refuses what cannot be remembered; takes another embedder', async () => {
    await assert.rejects(agent.remember('x', { importance: 2 }), { code: 'INVALID_OPTION' })
    for (const text of ['', [1, 0], undefined]) {
      await assert.rejects(agent.remember(text as string), { code: 'INVALID_INPUT' })
    }
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
