import assert from 'node:assert/strict'
import { BuiltInEmbedder, Database, type Document, embedder, Rag } from '../../nodes/memory/lib'
import { EmbeddingServer } from './embedding-server'

const manual = `# Pump

Before work, close the valve.

## Oil

The pump takes oil of grade 46. Change it every 500 hours 😀.

## Noise

A loud noise means that the bearing is worn.
`
const page = '<title>Cafe</title><h1>Opening hours</h1><p>The caf&eacute; is open from nine to five.</p>'
const texts: Document[] = [
  { source: 'manual.md', text: manual, metadata: { site: 'A' } },
  { source: 'cafe.html', text: page },
  { source: 'notes', text: 'The inspector comes on Monday.\n\nBring the papers.', title: 'Notes' },
]

const code = (expected: string) => (error: { code: string }) => error.code === expected

describe('memory.Rag', () => {
  let db: Database
  let rag: Rag
  beforeEach(async () => {
    db = await Database.open()
    rag = new Rag(db)
    for (const document of texts) await rag.ingest(document)
  })
  afterEach(() => db.close())

  for (const mode of ['hybrid', 'vector', 'words'] as const) {
    it(`finds passages and tells where they stand: ${mode}`, async () => {
      const [best] = await rag.retrieve('which oil does the pump take?', { mode })
      assert.ok(best)
      assert.deepEqual(
        [best.source, best.headings, best.line, best.part, best.title, best.metadata],
        ['manual.md', ['Pump', 'Oil'], 7, 1, 'Pump', { site: 'A' }],
      )
      assert.equal(best.citation, 'manual.md, Pump > Oil, line 7')
      assert.equal(manual.slice(best.start, best.end), best.text)
      assert.deepEqual([best.why.similarity !== null, best.why.words !== null], [mode !== 'words', mode !== 'vector'])
    })
  }

  it('reads HTML and text, and chooses by the source', async () => {
    const [cafe] = await rag.retrieve('when does the café open?', { topK: 1 })
    assert.deepEqual([cafe?.text, cafe?.title], ['The café is open from nine to five.', 'Cafe'])
    assert.equal(page.slice(cafe?.start, cafe?.end), 'The caf&eacute; is open from nine to five.')
    const [note] = await rag.retrieve('inspector', { filter: { source: 'notes' } })
    assert.deepEqual([note?.citation, note?.title, note?.metadata], ['notes, line 1', 'Notes', {}])
    const sources = await rag.sources()
    assert.deepEqual(
      sources.map(({ source, format, chunks, title }) => [source, format, chunks, title]),
      [
        ['cafe.html', 'html', 1, 'Cafe'],
        ['manual.md', 'markdown', 3, 'Pump'],
        ['notes', 'text', 1, 'Notes'],
      ],
    )
    assert.deepEqual([sources[1]?.metadata, sources[1]?.model], [{ site: 'A' }, (await BuiltInEmbedder.open()).model])
    assert.equal((await rag.sources('man')).length, 1)
  })

  it('filters by metadata, and varies', async () => {
    const filtered = await rag.retrieve('open', { filter: { site: 'A' }, topK: 10 })
    assert.deepEqual([...new Set(filtered.map(({ source }) => source))], ['manual.md'])
    const same = 'The pump takes oil of grade 46 always.'
    await rag.ingest({ source: 'copy', text: same })
    await rag.ingest({ source: 'copy of copy', text: same })
    const plain = await rag.retrieve(same, { mode: 'vector', topK: 2 })
    assert.deepEqual(plain.map(({ source }) => source).sort(), ['copy', 'copy of copy'])
    const varied = await rag.retrieve(same, { mode: 'vector', topK: 2, diversity: 0.5 })
    assert.notEqual(varied[0]?.text, varied[1]?.text)
  })

  it('embeds only what changed, and removes what went', async () => {
    const model = await BuiltInEmbedder.open()
    const embedded: string[] = []
    const counting = {
      model: model.model,
      dimensions: model.dimensions,
      embed(texts: string[]) {
        embedded.push(...texts)
        return model.embed(texts)
      },
    }
    const own = new Rag(db, { embedder: counting })
    assert.deepEqual(await own.ingest(texts[0] as Document), {
      ...{ source: 'manual.md', chunks: 3, added: 0, kept: 3, removed: 0 },
    })
    const before = await rag.retrieve('bearing', { mode: 'words' })
    const text = `New first line.\n\n${manual.replace('grade 46', 'grade 68').replace('## Noise', '## Sound')}`
    assert.deepEqual(await own.ingest({ ...(texts[0] as Document), text }), {
      ...{ source: 'manual.md', chunks: 4, added: 3, kept: 1, removed: 2 },
    })
    assert.deepEqual(embedded.length, 3)
    assert.ok(embedded[1]?.startsWith('Pump\nOil\nThe pump takes oil of grade 68'))
    assert.deepEqual(await rag.retrieve('46', { mode: 'words' }), [])
    const [moved] = await rag.retrieve('bearing', { mode: 'words' })
    assert.deepEqual([moved?.line, before[0]?.line], [13, 11])
    assert.equal(text.slice(moved?.start, moved?.end), moved?.text)
    // Other metadata needs no other vectors.
    const told = await own.ingest({ ...(texts[0] as Document), text, metadata: { site: 'B' } })
    assert.deepEqual([told.added, told.kept, embedded.length], [0, 4, 3])
    for (const mode of ['vector', 'words'] as const) {
      assert.deepEqual(await rag.retrieve('oil', { mode, filter: { site: 'A' } }), [])
      assert.ok((await rag.retrieve('oil', { mode, filter: { site: 'B' } })).length > 0)
    }
    assert.equal((await db.keys('documents', { prefix: 'manual.md' })).keys.length, 4)
    assert.equal((await db.keys('documents#vectors', { prefix: 'manual.md' })).keys.length, 4)
  })

  it('mends what was deleted beside it, and keeps chunks apart that say the same', async () => {
    const { keys } = await db.keys('documents', { prefix: 'manual.md' })
    await db.delete('documents', keys[0] as string)
    await db.deleteEmbedding('documents', keys[1] as string)
    const { added, kept } = await rag.ingest(texts[0] as Document)
    assert.deepEqual([added, kept, (await db.keys('documents', { prefix: 'manual.md' })).keys.length], [1, 2, 3])
    const twice = await rag.ingest({ source: 'twice.md', text: '# A\nsame\n# A\nsame\n# A\nsame' })
    assert.deepEqual([twice.chunks, (await rag.retrieve('same', { filter: { source: 'twice.md' } })).length], [3, 3])
  })

  it('removes a document whole', async () => {
    assert.deepEqual([await rag.remove('manual.md'), await rag.remove('manual.md')], [true, false])
    assert.deepEqual(await rag.retrieve('oil', { filter: { source: 'manual.md' } }), [])
    assert.deepEqual((await db.keys('documents#vectors', { prefix: 'manual' })).keys, [])
    assert.equal((await rag.sources()).length, 2)
  })

  it('takes documents of one name in their order, from whomever they come', async () => {
    const other = new Rag(db)
    const all = Array.from({ length: 20 }, (_, place) =>
      (place % 2 ? rag : other).ingest({ source: 'same', text: `version ${place}` }),
    )
    const wrong = rag.ingest({ source: '', text: 'x' })
    await assert.rejects(wrong, code('INVALID_INPUT'))
    assert.equal((await Promise.all(all)).length, 20)
    const found = await rag.retrieve('version', { filter: { source: 'same' } })
    assert.deepEqual(
      found.map(({ text }) => text),
      ['version 19'],
    )
  })

  it('makes a prompt that fits, with what it cites', async () => {
    const { text, tokens, citations } = await rag.prompt('which oil?', { budget: 120 })
    assert.ok(tokens <= 120 && citations.length >= 1)
    assert.match(text, /\[1\] manual\.md, Pump > Oil, line 7\nThe pump takes oil/)
    assert.ok(text.endsWith('Question: which oil?'))
    assert.equal(citations[0]?.source, 'manual.md')
    const own = await rag.prompt('which oil?', { instructions: 'Be brief.', topK: 1, mode: 'words' })
    assert.ok(own.text.startsWith('Be brief.\n\n[1] '))
    assert.equal(own.citations.length, 1)
    assert.deepEqual((await rag.prompt('which oil?', { budget: 1 })).citations, [])
  })

  it('is of one model for each namespace', async () => {
    const server = await EmbeddingServer.start()
    try {
      const remote = new Rag(db, { embedder: embedder({ url: server.url, model: 'test-model' }) })
      await assert.rejects(remote.ingest({ source: 'x', text: 'x' }), code('INVALID_INPUT'))
      await assert.rejects(remote.retrieve('oil'), code('INVALID_INPUT'))
      assert.ok((await remote.retrieve('oil', { mode: 'words' })).length > 0)
      const own = new Rag(db, {
        namespace: 'remote',
        size: 16,
        overlap: 4,
        embedder: embedder({ url: server.url, model: 'test-model' }),
      })
      const told = await own.ingest({ source: 'manual.md', text: manual.repeat(50) })
      assert.ok(told.added >= 150)
      assert.equal((await own.retrieve('oil of grade 46'))[0]?.headings[1], 'Oil')
      server.dimensions = 4
      const smaller = new Rag(db, {
        namespace: 'remote',
        embedder: embedder({ url: server.url, model: 'test-model' }),
      })
      await assert.rejects(smaller.ingest({ source: 'y', text: 'y' }), code('INVALID_INPUT'))
      await assert.rejects(smaller.retrieve('oil'), code('INVALID_INPUT'))
      assert.equal((await own.sources()).length, 1)
    } finally {
      await server.stop()
    }
  })

  it('sees a heading behind a byte order mark, and places are those of the text with it', async () => {
    const text = `\ufeff${manual}`
    for (const [source, given] of Object.entries({ 'text.md': text, 'bytes.md': Buffer.from(text) })) {
      await rag.ingest({ source, text: given })
      const found = await rag.retrieve('which oil does the pump take?', { filter: { source }, topK: 10 })
      assert.deepEqual([found[0]?.title, found[0]?.headings], ['Pump', ['Pump', 'Oil']])
      for (const { start, end, text: chunk } of found) assert.equal(text.slice(start, end), chunk)
      assert.equal(
        found.some(({ text }) => text.includes('\ufeff')),
        false,
      )
    }
  })

  it('reads bytes by their byte order mark, and refuses what is no text', async () => {
    const text = `\ufeff${manual}\n\nGrüße, 数据 🎉`
    const little = Buffer.from(text, 'utf16le')
    for (const [source, bytes] of Object.entries({ 'le.md': little, 'be.md': Buffer.from(little).swap16() })) {
      await rag.ingest({ source, text: bytes })
      const found = await rag.retrieve('which oil does the pump take?', { filter: { source }, topK: 10 })
      assert.deepEqual([found[0]?.title, found[0]?.headings], ['Pump', ['Pump', 'Oil']])
      for (const { start, end, text: chunk } of found) assert.equal(text.slice(start, end), chunk)
    }
    const wrong: [bytes: Uint8Array, said: RegExp][] = [
      [Buffer.from('Gr\xfc\xdfe', 'latin1'), /'x\.txt' is no valid UTF-8; save it as UTF-8/],
      [little.subarray(0, -1), /is no valid UTF-16LE/],
      [Buffer.concat([Buffer.from(little).swap16(), Buffer.from('x')]), /is no valid UTF-16BE/],
      [Uint8Array.of(0xff, 0xfe, 0, 0, 65, 0, 0, 0), /is UTF-32/],
      [little.subarray(2, 22), /has zero bytes/],
    ]
    for (const [bytes, said] of wrong) {
      const refused = (error: { code: string; message: string }) =>
        error.code === 'INVALID_INPUT' && said.test(error.message)
      await assert.rejects(rag.ingest({ source: 'x.txt', text: bytes }), refused, String(said))
    }
    assert.equal((await rag.sources('x.txt')).length, 0)
  })

  it('writes nothing of a document that cannot be embedded', async () => {
    const server = await EmbeddingServer.start()
    const { url } = server
    await server.stop()
    const own = new Rag(db, { namespace: 'none', embedder: embedder({ url, model: 'm', retries: 0 }) })
    await assert.rejects(own.ingest({ source: 'x', text: 'x' }), code('TRANSPORT'))
    assert.deepEqual([await own.sources(), (await db.keys('none')).keys], [[], []])
  })

  it('refuses what is no document and no question', async () => {
    const wrong: [call: () => Promise<unknown>, expected: string][] = [
      [() => rag.ingest({ source: 7 as never, text: 'x' }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x'.repeat(901), text: 'x' }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 7 as never }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x', format: 'rtf' as never }), 'INVALID_OPTION'],
      [() => rag.ingest({ source: 'x', text: 'x', metadata: { a: 1n } }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x', metadata: 'str' as never }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x', metadata: [1] as never }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x', title: 5 as never }), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x', metaData: {} } as never), 'INVALID_OPTION'],
      [() => rag.ingest(null as never), 'INVALID_INPUT'],
      [() => rag.ingest({ source: 'x', text: 'x'.repeat((16 << 20) + 1) }), 'TOO_LARGE'],
      [async () => new Rag(db, { size: 8 }), 'INVALID_OPTION'],
      [async () => new Rag(db, { overlap: Number.NaN }), 'INVALID_OPTION'],
      [async () => new Rag(db, { namespace: 5 as never }), 'INVALID_INPUT'],
      [async () => new Rag({} as never), 'INVALID_OPTION'],
      [() => new Rag(db, { size: 16 }).ingest({ source: 'x', text: 'x' }), 'INVALID_OPTION'],
      [() => rag.retrieve('x', { filter: '' as never }), 'INVALID_INPUT'],
      [() => rag.prompt('x', 5 as never), 'INVALID_OPTION'],
      [() => rag.retrieve(7 as never), 'INVALID_INPUT'],
      [() => rag.retrieve(' '), 'INVALID_INPUT'],
      [() => rag.retrieve('x', { topK: -1 }), 'INVALID_OPTION'],
      [() => rag.retrieve('x', { mode: 'meaning' as never }), 'INVALID_OPTION'],
      [() => rag.prompt('x', { topk: 1 } as never), 'INVALID_OPTION'],
      [async () => new Rag(db, { overlaps: 8 } as never), 'INVALID_OPTION'],
      [() => rag.retrieve('x', { diversity: 2 }), 'INVALID_INPUT'],
      [() => rag.retrieve('x', { filter: { a: { near: 1 } } }), 'INVALID_INPUT'],
      [() => rag.prompt('x', { budget: 0 }), 'INVALID_OPTION'],
    ]
    await assert.rejects(rag.ingest({ source: 'x', text: 'x', metadata: { a: 1n } }), /^EngineError: metadata\.a is 1n/)
    for (const [call, expected] of wrong) await assert.rejects(call(), code(expected), call.toString())
    assert.deepEqual(await new Rag(db, { namespace: 'empty' }).retrieve('x'), [])
    assert.equal((await rag.ingest({ source: 'empty', text: ' \n' })).chunks, 0)
    assert.equal((await rag.retrieve('x', { topK: 0 })).length, 0)
  })
})
