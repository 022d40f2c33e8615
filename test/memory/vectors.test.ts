import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuiltInEmbedder, diverse, fuse, WordIndex } from '../../nodes/memory/lib/embedder'
import { VectorIndex } from '../../nodes/memory/lib/vectors'

const ids = (...numbers: number[]) => Uint32Array.from(numbers)
const codeOf = (call: () => Promise<unknown>) =>
  Promise.resolve()
    .then(call)
    .then(
      () => assert.fail(),
      (error) => error.code,
    )

describe('the vector index', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-vectors-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('finds the nearest, of all and of some, for one and for many', async () => {
    const index = await VectorIndex.open({ dimensions: 3 })
    await index.put(ids(4, 5), Float32Array.of(1, 0, 0, 0, 2, 0), 1)
    await index.put(ids(6), [1, 1, 0], 2)
    const { hits, exact } = await index.search([3, 0.1, 0])
    assert.deepEqual([hits.map(({ id }) => id), exact], [[4, 6, 5], true])
    assert.ok((hits[0]?.score ?? 0) > 0.99)
    assert.deepEqual((await index.search([3, 0.1, 0], { ids: ids(5, 9) })).hits.length, 1)
    assert.deepEqual((await index.search([3, 0.1, 0], { threshold: 0.5, topK: 1 })).hits.length, 1)
    const many = await index.searchMany([1, 0, 0, 0, 1, 0], { threshold: 0.9 })
    assert.deepEqual(
      many.map((hits) => hits.map(({ id }) => id)),
      [[4], [5]],
    )
    assert.deepEqual(index.get(5), Float32Array.of(0, 1, 0))
    assert.equal(index.get(7), undefined)
    assert.equal(await index.remove(ids(4, 7), 3), 1)
    const { vectors, seq, bytes } = index.stats()
    assert.deepEqual([vectors, seq, bytes > 0], [2, 3, true])
    await index.close()
  })

  it('comes back from its file, and says why it does not', async () => {
    const path = join(folder, 'index')
    const options = { dimensions: 2, metric: 'l2', storage: 'f16' } as const
    const first = await VectorIndex.open(options, path)
    assert.deepEqual([first.loaded, first.rebuild], [false, null])
    await first.put(ids(1, 2), [0, 0, 3, 4], 17)
    await first.settle()
    await first.save(path)
    await first.close()
    const second = await VectorIndex.open(options, path)
    assert.deepEqual([second.loaded, second.stats().seq, second.options().metric], [true, 17, 'l2'])
    assert.deepEqual((await second.search([0, 0])).hits, [
      { id: 1, score: 0 },
      { id: 2, score: 5 },
    ])
    await second.close()
    writeFileSync(path, 'something else')
    const third = await VectorIndex.open(options, path)
    assert.equal(typeof third.rebuild, 'string')
    await third.close()
  })

  it('says what does not work', async () => {
    assert.equal(await codeOf(() => VectorIndex.open({ dimensions: 0 })), 'INVALID_OPTION')
    const index = await VectorIndex.open({ dimensions: 2, maxBytes: 10_000 })
    assert.equal(await codeOf(() => index.put(ids(1), [1, 2, 3], 1)), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.put(ids(1), [1, Number.NaN], 1)), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.put(ids(1), [0, 0], 1)), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.search([])), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.search([1, 2], { topK: -1 })), 'INVALID_OPTION')
    assert.equal(await codeOf(() => index.put([1] as never, [1, 2], 1)), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.put(ids(1), null as never, 1)), 'INVALID_INPUT')
    assert.equal(await codeOf(() => index.put(ids(1), [1, 2], Number.NaN)), 'INVALID_OPTION')
    assert.equal(await codeOf(() => index.search([1, 2], { threshold: Number.NaN })), 'INVALID_OPTION')
    assert.equal(await codeOf(() => index.search([1, 2], { ids: [1] as never })), 'INVALID_INPUT')
    assert.equal(await codeOf(() => VectorIndex.open({ dimensions: 2, metric: (() => 1) as never })), 'INVALID_OPTION')
    const many = Uint32Array.from({ length: 500 }, (_, id) => id)
    assert.equal(await codeOf(() => index.put(many, new Float32Array(1000).fill(1), 1)), 'BUFFER_FULL')
    await index.close()
    assert.equal(await codeOf(() => index.search([1, 2])), 'CLOSED')
    await index.close()
  })
})

describe('the built-in embedder', () => {
  const texts = [
    'the pump runs hot',
    'a cat sleeps on the sofa',
    'overheating of the motor of a pump',
    'invoice for March',
  ]

  it('finds by meaning, by words, and by both', async () => {
    const embedder = await BuiltInEmbedder.open()
    assert.equal(await BuiltInEmbedder.open(), embedder)
    const index = await VectorIndex.open({ dimensions: embedder.dimensions })
    const all = Uint32Array.from(texts, (_, id) => id)
    await index.put(all, await embedder.embed(texts), 1)
    const near = (await index.search(await embedder.embed(['a kitten is resting']))).hits
    assert.equal(near[0]?.id, 1)
    const trigrams = new WordIndex('trigrams')
    await trigrams.put(all, texts)
    assert.deepEqual([trigrams.size, trigrams.bytes > 0], [4, true])
    const byWords = await trigrams.search('invoices', { topK: 2 })
    assert.equal(byWords[0]?.id, 3)
    assert.deepEqual(await trigrams.search('invoices', { ids: ids(0, 1) }), [])
    for (const by of ['score', 'rank'] as const) {
      const both = fuse([{ hits: near }, { hits: byWords, weight: 9 }], by)
      assert.deepEqual([both[0]?.id, both.length], [3, 4])
    }
    assert.equal(await trigrams.remove(ids(3, 9)), 1)
    assert.deepEqual(await trigrams.search('invoices'), [])
    assert.deepEqual(diverse(Float32Array.of(0.9, 0.89, 0.5), Float32Array.of(1, 0, 1, 0, 0, 1), 2, 0.5), [0, 2])
    await index.close()
  })

  it('tells where the pieces of a text end, and refuses what has none', async () => {
    const embedder = await BuiltInEmbedder.open()
    assert.deepEqual(Array.from(await embedder.ends('Über, ok')), [5, 6, 9])
    assert.equal(await codeOf(() => embedder.embed(['text', ' '])), 'INVALID_INPUT')
    for (const texts of ['text', ['text', 5], null]) {
      assert.equal(await codeOf(() => embedder.embed(texts as never)), 'INVALID_INPUT')
    }
    assert.equal(await codeOf(() => embedder.chunks(5 as never)), 'INVALID_INPUT')
    assert.equal(await codeOf(async () => new WordIndex('letters' as never)), 'INVALID_OPTION')
    assert.equal(await codeOf(() => new WordIndex('words').put([1] as never, ['a'])), 'INVALID_INPUT')
    assert.equal(await codeOf(() => new WordIndex('words').search('a', { topK: -1 })), 'INVALID_OPTION')
    assert.equal(await codeOf(async () => fuse([{ hits: [], weight: Number.NaN }])), 'INVALID_OPTION')
    assert.equal(await codeOf(async () => fuse([5 as never])), 'INVALID_INPUT')
    assert.equal(await codeOf(async () => diverse(Float32Array.of(1), [1] as never, 1)), 'INVALID_INPUT')
  })
})
