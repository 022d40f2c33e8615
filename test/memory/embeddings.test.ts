import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { memory } from '../../nodes'

describe('memory.Database: vectors', () => {
  let folder: string
  let db: memory.Database
  const open = async (config: memory.Config = {}) => {
    db = await memory.Database.open({ path: join(folder, 'db'), ...config })
  }
  const keys = async (vector: memory.Embeddable, options?: memory.SearchOptions) =>
    (await db.search('n', vector, options)).map(({ key }) => key)

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-embeddings-'))
    await open()
  })
  afterEach(async () => {
    await db.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('finds the nearest, with their metadata, by each metric', async () => {
    await db.embed('n', 'east', [1, 0], { turn: 0 }, { model: 'm' })
    // Of no named model.
    await assert.rejects(db.embed('n', 'north', Float32Array.of(0, 3)), { code: 'INVALID_INPUT' })
    await db.embed('n', 'north', Buffer.from(Float32Array.of(0, 3).buffer), undefined, { model: 'm' })
    const hits = await db.search('n', [0.9, 0.1])
    assert.deepEqual([hits.exact, Object.keys(hits)], [true, ['0', '1']])
    assert.deepEqual(
      hits.map(({ key, metadata }) => [key, metadata]),
      [
        ['east', { turn: 0 }],
        ['north', null],
      ],
    )
    assert.ok((hits[0]?.score ?? 0) > 0.99 && (hits[1]?.score ?? 1) < 0.2)
    assert.deepEqual(await keys([0.9, 0.4], { metric: 'dot' }), ['north', 'east'])
    assert.deepEqual(await keys([0.9, 0.4], { metric: 'l2', topK: 1 }), ['east'])
    assert.deepEqual(await keys([1, 0], { threshold: 0.5 }), ['east'])
    assert.deepEqual(await keys([1, 0], { topK: 0 }), [])
    const { vector, model, metadata } = await db.embedding('n', 'north')
    assert.deepEqual([[...vector], model, metadata], [[0, 3], 'm', null])
    assert.deepEqual(await db.embeddingInfo('n'), { dimensions: 2, model: 'm', vectors: 2, exact: true })
  })

  it('follows what is put, replaced, deleted and what ends', async () => {
    assert.deepEqual(await keys([1, 0]), [])
    assert.equal(await db.embeddingInfo('n'), null)
    await db.embed('n', 'a', [1, 0])
    await db.embed('n', 'b', [0, 1])
    assert.deepEqual(await keys([1, 0]), ['a', 'b'])
    await db.embed('n', 'a', [-1, 0])
    assert.deepEqual(await keys([1, 0]), ['b', 'a'])
    await db.deleteEmbedding('n', 'b')
    assert.deepEqual(await keys([1, 0]), ['a'])
    assert.equal(await db.deleteEmbedding('n', 'b'), null)
    await db.embed('n', 'c', [1, 0], null, { ttlMs: 20 })
    while ((await keys([1, 0])).length > 1) await new Promise((resolve) => setImmediate(resolve))
    await db.deleteEmbedding('n', 'a')
    // Where none is left another kind may begin.
    await db.embed('n', 'd', [1, 2, 3])
    assert.deepEqual(await keys([1, 2, 3]), ['d'])
  })

  it('filters never cut the answer short', async () => {
    const vectors = Array.from({ length: 300 }, (_, n) => [Math.cos(n / 100), Math.sin(n / 100)])
    await Promise.all(vectors.map((vector, n) => db.embed('n', `k${n}`, vector, { even: n % 2 === 0, n })))
    await db.putMany(
      'n',
      vectors.map((_, n) => [`k${n}`, { site: n >= 290 ? 'far' : 'near' }]),
    )
    assert.deepEqual(await keys([1, 0], { topK: 3, filter: { even: false } }), ['k1', 'k3', 'k5'])
    assert.deepEqual(await keys([1, 0], { topK: 3, documents: { site: 'far' } }), ['k290', 'k291', 'k292'])
    assert.deepEqual(await keys([1, 0], { topK: 2, filter: { n: { gte: 7 } }, prefix: 'k1' }), ['k10', 'k11'])
    assert.equal((await keys([1, 0], { topK: 50, documents: { site: 'far' } })).length, 10)
    assert.deepEqual(await keys([1, 0], { filter: { n: 1000 } }), [])
  })

  it('is right at once after it is opened again, and after a gap in the log', async () => {
    for (let n = 0; n < 20; n += 1) await db.embed('n', `k${n}`, [1, n])
    await db.close()
    await open({ changesKept: 1 })
    assert.deepEqual(await keys([1, 0], { topK: 2 }), ['k0', 'k1'])
    for (let n = 20; n < 30; n += 1) await db.embed('n', `k${n}`, [1, -n / 100])
    await db.compact()
    assert.deepEqual(await keys([1, -0.2], { topK: 1 }), ['k20'])
    assert.equal((await db.embeddingInfo('n'))?.vectors, 30)
    await assert.rejects(db.embed('n', 'k', [1, 2, 3]), { code: 'INVALID_INPUT' })
  })

  it('texts are embedded on this machine, and found by meaning', async () => {
    const texts = {
      pump: 'The pump leaks oil and has to be repaired',
      menu: 'We serve soup and bread at noon',
      weather: 'Heavy rain and wind are expected tomorrow',
    }
    for (const [key, text] of Object.entries(texts)) await db.embed('n', key, text, { text })
    assert.deepEqual(await keys('a machine that loses lubricant', { topK: 1 }), ['pump'])
    assert.deepEqual(await keys('what is there for lunch', { topK: 1 }), ['menu'])
    assert.deepEqual(await keys('storm forecast', { topK: 1 }), ['weather'])
    const { model, dimensions } = await memory.BuiltInEmbedder.open()
    assert.deepEqual(await db.embeddingInfo('n'), { dimensions, model, vectors: 3, exact: true })
    await assert.rejects(db.search('n', new Array(dimensions).fill(1), { model: 'other' }), { code: 'INVALID_INPUT' })
    const own = { model: 'own', dimensions: 2, embed: async () => Float32Array.of(1, 0) }
    await assert.rejects(db.embed('n', 'x', 'text', null, { embedder: own }), { code: 'INVALID_INPUT' })
    await db.embed('m', 'x', 'text', null, { embedder: own })
    assert.equal((await db.search('m', 'any', { embedder: own }))[0]?.key, 'x')
  })

  const wrong: [title: string, vector: unknown][] = [
    ['NaN', [1, Number.NaN]],
    ['infinity', Float32Array.of(Number.POSITIVE_INFINITY)],
    ['what is no number', [1, 'x']],
    ['zeros', [0, 0]],
    ['nothing', []],
    ['a text without a word', ''],
    ['an object', { a: 1 }],
    ['a number', 5],
    ['bytes that are no floats', Buffer.alloc(7, 1)],
  ]
  for (const [title, vector] of wrong) {
    it(`refuses ${title}, to be kept and to be searched`, async () => {
      await assert.rejects(db.embed('n', 'a', vector as number[]), { code: 'INVALID_INPUT' })
      await assert.rejects(db.search('n', vector as number[]), { code: 'INVALID_INPUT' })
      assert.equal(await db.embeddingInfo('n'), null)
    })
  }

  describe('of an embedder of your own', () => {
    const own = (vector: unknown, more: object = {}) =>
      ({ model: 'own', dimensions: 3, embed: async () => vector, ...more }) as memory.Embedder
    const wrong: [title: string, embedder: memory.Embedder, code: string, said: RegExp][] = [
      ['NaN', own(Float32Array.of(1, Number.NaN, 3)), 'CONVERSION', /'own'.*text 0.*component 1.*NaN/],
      ['infinity', own(Float32Array.of(1, 2, Number.POSITIVE_INFINITY)), 'CONVERSION', /Infinity/],
      ['zeros', own(new Float32Array(3)), 'CONVERSION', /all zeros/],
      ['other dimensions', own(new Float32Array(5).fill(1)), 'CONVERSION', /5 components.*3 for each/],
      ['nothing', own(undefined), 'CONVERSION', /undefined.*Float32Array/],
      ['no components', own(new Float32Array(0), { dimensions: undefined }), 'CONVERSION', /empty/],
      ['a list', own([1, 2, 3]), 'CONVERSION', /\[1,2,3\].*Float32Array/],
      ['no model', own(null, { model: undefined }), 'INVALID_OPTION', /model is undefined/],
      ['no embed', own(null, { embed: undefined }), 'INVALID_OPTION', /embed is undefined/],
      ['no dimensions', own(null, { dimensions: '3' }), 'INVALID_OPTION', /dimensions is '3'/],
    ]
    for (const [title, embedder, code, said] of wrong) {
      it(`refuses ${title}, wherever it is asked`, async () => {
        await using db = await memory.Database.open()
        const good = { model: 'own', dimensions: 3, embed: async () => Float32Array.of(1, 2, 3) }
        await new memory.Rag(db, { embedder: good }).ingest({ source: 'good', text: 'The pump leaks oil' })
        const calls = [
          () => db.embed('n', 'a', 'oil', null, { embedder }),
          () => db.search('documents', 'oil', { embedder }),
          async () => new memory.Rag(db, { embedder }).ingest({ source: 'bad', text: 'The valve is shut' }),
          async () => new memory.Rag(db, { embedder }).retrieve('oil'),
          async () => new memory.AgentMemory(db, 'mill', { embedder }).learn('The valve is shut'),
        ]
        for (const call of calls) {
          await assert.rejects(call, (error: { code: string; message: string }) => {
            assert.equal(error.code, code, error.message)
            assert.match(error.message, said)
            return true
          })
        }
        assert.deepEqual(
          (await db.namespaces()).namespaces.map(({ name, keys }) => [name, keys]),
          [
            ['documents', 1],
            ['documents#sources', 1],
            ['documents#vectors', 1],
          ],
        )
      })
    }

    it('takes vectors of another context', async () => {
      await using db = await memory.Database.open()
      const embed = runInNewContext('async () => Float32Array.of(1, 2, 3)')
      const rag = new memory.Rag(db, { embedder: { model: 'own', dimensions: undefined, embed } })
      assert.equal((await rag.ingest({ source: 'a', text: 'The pump leaks oil' })).added, 1)
      assert.equal((await rag.retrieve('oil', { mode: 'vector' })).length, 1)
    })
  })

  it('words count beside the meaning, in one call', async () => {
    await db.embed('n', 'valve', 'The valve in the hall leaks', { site: 'A' })
    const invoice = 'Paid by the office in March: KX-4711, with two more invoices for other customers'
    await db.embed('n', 'invoice', invoice, { site: 'B' })
    await db.embed('n', 'oil', 'Oil drips from the pump')
    const query = 'valve KX-4711'
    assert.equal((await keys(query))[0], 'invoice')
    const [first, ...others] = await db.search('n', query, { words: 5 })
    assert.deepEqual([first?.key, first?.words, first?.metadata], ['valve', 1, { site: 'A' }])
    const alone = await db.search('n', query)
    const near = new Map(alone.map(({ key, score }) => [key, score]))
    for (const hit of [...others, first]) assert.ok(Math.abs((hit?.near ?? 2) - (near.get(hit?.key ?? '') ?? 0)) < 1e-6)
    assert.deepEqual(await keys(query, { words: 5, filter: { site: 'B' } }), ['invoice'])
    const embedder = await memory.BuiltInEmbedder.open()
    const vector = await embedder.embed(['oil'])
    assert.equal((await keys(vector, { words: 5, text: 'KX-4711' }))[0], 'invoice')
    await assert.rejects(keys(vector, { words: 5 }), { code: 'INVALID_OPTION' })
    await assert.rejects(keys(query, { words: -1 }), { code: 'INVALID_INPUT' })
    await assert.rejects(keys(query, { words: 1, threshold: 0.1 }), { code: 'INVALID_INPUT' })
  })

  it('searches as of a time', async () => {
    const { time } = await db.embed('n', 'a', [1, 0])
    await db.embed('n', 'b', [0, 1])
    await db.deleteEmbedding('n', 'a')
    assert.deepEqual(await keys([1, 0]), ['b'])
    assert.equal((await keys([1, 0], { asOf: time }))[0], 'a')
    assert.deepEqual(await keys([1, 0], { asOf: new Date(0) }), [])
    assert.deepEqual(await keys([1, 0], { asOf: '2020-01-01T00:00:00Z' }), [])
    await assert.rejects(keys([1, 0], { asOf: 'yesterday or so' }), { code: 'INVALID_INPUT' })
  })

  it('keeps the index in less memory, and tells when it is full', async () => {
    await db.embed('n', 'east', [1, 0])
    await db.embed('n', 'north', [0.2, 1])
    for (const storage of ['f16', 'i8'] as const) {
      await db.close()
      await open({ vectors: { storage } })
      assert.deepEqual(await keys([1, 0.1]), ['east', 'north'], storage)
    }
    const { vector } = await db.embedding('n', 'north')
    assert.deepEqual(vector, Float32Array.of(0.2, 1))
    await db.close()
    await open({ vectors: { maxBytes: 1 } })
    await assert.rejects(keys([1, 0]), { code: 'BUFFER_FULL' })
  })

  it('refuses other dimensions, whoever is the first', async () => {
    const given = [
      [1, 2],
      [1, 2, 3],
      [3, 4],
    ]
    const outcomes = await Promise.allSettled(given.map((vector, place) => db.embed('n', `k${place}`, vector)))
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    await assert.rejects(db.search('n', [1, 2, 3]), { code: 'INVALID_INPUT' })
    await assert.rejects(db.search('n', [1, 2], { topK: -1 }), { code: 'INVALID_OPTION' })
    await assert.rejects(db.search('n', [1, 2], { filter: { a: { like: 1 } } }), { code: 'INVALID_INPUT' })
    await assert.rejects(db.embed('', 'a', [1]), { code: 'INVALID_INPUT' })
    // What was not put by the library does not fit, and is not found.
    await db.put('n#vectors', 'odd', { model: '', vector: 'AAAA' })
    await db.put('n#vectors', 'text', 'x')
    assert.deepEqual((await keys([1, 2])).length, 2)
  })
})
