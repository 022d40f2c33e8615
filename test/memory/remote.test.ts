import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { EmbedderHost } from '../../nodes/memory/embedding'
import { AgentMemory, Database, embedder, type RemoteOptions } from '../../nodes/memory/lib'
import { certificates } from '../action/certificates'
import { EmbeddingServer, reset, silence, status, vectorOf } from './embedding-server'

/** All that is printed of it. */
const shownOf = (it: object) => inspect(it, { depth: Number.POSITIVE_INFINITY }) + JSON.stringify(it)

const rows = (...embeddings: unknown[]) =>
  status(200, { data: embeddings.map((embedding, index) => ({ index, embedding })) })

describe('memory.embedder, over HTTP', () => {
  let server: EmbeddingServer
  beforeEach(async () => {
    server = await EmbeddingServer.start()
  })
  afterEach(() => server.stop())

  const make = (more: Partial<RemoteOptions> = {}) => embedder({ url: server.url, model: 'test-model', ...more })
  const failsWith = (code: string, said: RegExp) => (error: { code: string; message: string }) => {
    assert.equal(error.code, code, error.message)
    assert.match(error.message, said)
    return true
  }

  it('asks in batches, puts rows in their order, and asks for the same text once', async () => {
    server.reversed = true
    const own = make({ batch: 2 })
    assert.equal(own.dimensions, undefined)
    const vectors = await own.embed(['one', 'two', 'three', 'one'])
    assert.deepEqual(
      [...vectors],
      [...['one', 'two', 'three', 'one'].flatMap((it) => vectorOf(it, 8))].map(Math.fround),
    )
    assert.deepEqual(
      server.asked.map(({ body }) => body.input),
      [['one', 'two'], ['three']],
    )
    assert.deepEqual(server.asked[0]?.body.encoding_format, 'float')
    await own.embed(['three', 'four'])
    assert.deepEqual(server.asked[2]?.body.input, ['four'])
    assert.deepEqual([own.dimensions, own.model], [8, 'test-model'])
    assert.equal((await own.embed([])).length, 0)
  })

  it('forgets the longest unused vector first', async () => {
    const own = make({ cache: 2 })
    for (const text of ['a', 'b', 'a', 'c', 'a', 'b']) await own.embed([text])
    assert.deepEqual(
      server.asked.map(({ body }) => body.input[0]),
      ['a', 'b', 'c', 'b'],
    )
  })

  it('sends the key and the dimensions, reads base64, and knows an address that is whole', async () => {
    server.key = 'sk-1'
    server.base64 = true
    const own = make({ url: `${server.url}/embeddings`, apiKey: 'sk-1', dimensions: 4 })
    assert.deepEqual([...(await own.embed(['oil']))], vectorOf('oil', 4).map(Math.fround))
    assert.deepEqual([server.asked[0]?.authorization, server.asked[0]?.body.dimensions], ['Bearer sk-1', 4])
  })

  it('tries again what may work later, and not before the server wants it', async () => {
    server.faults = [status(429, { error: 'slow down' }, { 'retry-after': '1' }), status(500, {}), reset]
    assert.equal((await make().embed(['oil'])).length, 8)
    const [first = 0, second = 0] = server.asked.map(({ at }) => at)
    assert.deepEqual(server.asked.length, 4)
    // A timer may be early by a part of a millisecond.
    assert.ok(second - first >= 999, `${second - first} ms`)
  })

  it('has few requests on the way at once, and the rest wait their turn, whatever fails before them', async () => {
    const other = await EmbeddingServer.start()
    const held: (() => void)[] = []
    const fail = status(400, {})
    server.faults = Array.from({ length: 20 }, () => (response, request) => {
      held.push(() => fail?.(response, request))
    })
    const own = make({ retries: 0, timeoutMs: 60_000 })
    const all = Array.from({ length: 20 }, (_, text) => own.embed([`text ${text}`]).catch(({ code }) => code))
    for (let answered = 0; answered < 20; answered += 1) {
      const asked = Math.min(20, answered + 8)
      while (server.asked.length < asked || held.length === 0) await new Promise((resolve) => setImmediate(resolve))
      // What was sent with the others is there before this.
      if (answered === 0) await embedder({ url: other.url, model: 'test-model' }).embed(['a question and its answer'])
      assert.equal(server.asked.length, asked)
      held.shift()?.()
    }
    assert.deepEqual(await Promise.all(all), new Array(20).fill('REFUSED'))
    assert.equal((await own.embed(['after'])).length, 8)
    await other.stop()
  })

  it('says what went wrong when all tries are used', async () => {
    const own = make({ retries: 1, timeoutMs: 100 })
    server.faults = [status(503, { error: { message: 'loading model' } }), status(503, { error: 'loading model' })]
    await assert.rejects(own.embed(['a']), failsWith('TRANSPORT', /503: loading model/))
    server.faults = [reset, reset]
    await assert.rejects(own.embed(['a']), failsWith('TRANSPORT', /closed the connection/))
    server.faults = [silence, silence]
    await assert.rejects(own.embed(['a']), failsWith('TIMEOUT', /100 ms/))
    assert.equal(server.asked.length, 6)
    const { url } = server
    await server.stop()
    await assert.rejects(
      embedder({ url, model: 'm', retries: 0 }).embed(['a']),
      failsWith('TRANSPORT', /nothing listens/),
    )
    server = await EmbeddingServer.start()
  })

  it('does not try again what the server refuses, and says what to look at', async () => {
    server.key = 'sk-1'
    await assert.rejects(
      make({ apiKey: 'wrong' }).embed(['a']),
      failsWith('REFUSED', /Incorrect API key.*; see the API key/),
    )
    server.key = undefined
    await assert.rejects(make({ model: 'none' }).embed(['a']), failsWith('REFUSED', /404.*'none'/))
    server.faults = [status(400, { message: 'too long' }), status(302, {}, { location: 'http://127.0.0.1:1/' })]
    await assert.rejects(make().embed(['a']), failsWith('REFUSED', /400: too long/))
    await assert.rejects(make().embed(['a']), failsWith('REFUSED', /302/))
    assert.equal(server.asked.length, 4)
  })

  it('refuses answers that are none', async () => {
    const own = make({ retries: 0 })
    await own.embed(['first'])
    const answers: [fault: ReturnType<typeof rows>, said: RegExp][] = [
      [rows([1, 2, 3]), /3 components, where 8/],
      [rows([1, 2]), /2 components/],
      [rows(), /0 vectors for 1/],
      [status(200, { data: 'x' }), /no vectors/],
      [status(200, null), /no vectors/],
      [(response) => response.end('<html>'), /no vectors/],
      [rows(7), /a vector is 7/],
      [rows('AAA='), /a vector is 'AAA='/],
      [rows([1, 2, 3, 4, 5, 6, 7, 'x']), /component 7/],
      [rows(new Array(8).fill(0)), /zeros/],
      [status(200, { data: [{ index: 5, embedding: [1] }] }), /5 is not the place/],
      [status(200, { data: [null] }), /a vector is undefined/],
    ]
    for (const [fault, said] of answers) {
      server.faults = [fault]
      await assert.rejects(own.embed(['a']), failsWith('CONVERSION', said))
    }
    server.faults = [rows([1], [1])]
    await assert.rejects(make({ dimensions: 2 }).embed(['a', 'b']), failsWith('CONVERSION', /1 components, where 2/))
    server.faults = [(response) => response.end(Buffer.alloc((128 << 20) + 1, 0x20))]
    await assert.rejects(own.embed(['a']), failsWith('TOO_LARGE', /bytes/))
  })

  it('learns nothing from a wrong answer', async () => {
    for (const first of [rows([]), rows([0, 0, 0]), rows([null, 1]), rows([1, 2, 3], null), rows([1, 2, 3], [1, 2])]) {
      const own = make()
      server.faults = [first]
      await assert.rejects(own.embed(['a', 'b']), failsWith('CONVERSION', /./))
      assert.equal(own.dimensions, undefined)
      assert.equal((await own.embed(['a', 'b'])).length, 16)
    }
  })

  it('shows its key nowhere', async () => {
    const apiKey = 'sk-secret-0123456789'
    const own = make({ apiKey: ` ${apiKey} `, retries: 0 })
    const text = `${'x'.repeat(50)} wrong: Bearer ${apiKey}, again: ${'x'.repeat(97)} ${apiKey}`
    const faults = [
      status(401, { error: { message: text } }),
      status(500, text),
      (response: ServerResponse) => response.writeHead(403).end(text),
      rows(`${'x'.repeat(62)}${apiKey}`),
      rows({ [apiKey]: 1 }),
      status(200, { data: [{ index: `${'x'.repeat(61)}${apiKey}`, embedding: [1] }] }),
    ]
    for (const fault of faults) {
      server.faults = [fault]
      await assert.rejects(own.embed(['a']), ({ message }: Error) => {
        assert.ok(message.includes('***') && !message.includes('sk-s'), message)
        return true
      })
    }
    server.key = apiKey
    assert.equal((await own.embed(['a'])).length, 8)
    const named = { name: '', configVersion: 1, url: server.url, model: 'test-model' }
    const limits = { dimensions: null, batch: 64, timeoutMs: 1000, retries: 0, cache: 10, tls: '' }
    const host = new EmbedderHost({ ...named, ...limits }, apiKey)
    for (const one of [own, host]) assert.ok(!shownOf(one).includes('sk-s'), shownOf(one))
  })

  it('refuses texts and options that cannot be', async () => {
    for (const texts of [[''], ['a', ' \n'], [7 as never]]) {
      await assert.rejects(make().embed(texts), failsWith('INVALID_INPUT', /text \d/))
    }
    const wrong: Partial<RemoteOptions>[] = [
      { url: 'localhost:11434' },
      { url: 'ftp://localhost' },
      { url: 'http://a:b@localhost/v1' },
      { model: '' },
      { batch: 0 },
      { timeoutMs: 0.5 },
      { timeoutMs: 1e12 },
      { retries: -1 },
      { cache: -1 },
      { dimensions: 0 },
      { apiKey: 'a\nb' },
      { apiKey: 7 as never },
      { api_key: 'sk-1' } as never,
      { tls: { cert: 'none', key: 'none' } },
    ]
    for (const more of wrong)
      assert.throws(() => make(more), failsWith('INVALID_OPTION', /is|has/), JSON.stringify(more))
    assert.equal(server.asked.length, 0)
  })

  it('serves the vectors of documents and an agent', async () => {
    await using db = await Database.open()
    const own = make()
    await db.embed('n', 'a', 'pump oil', null, { embedder: own })
    const [hit] = await db.search('n', 'oil of the pump', { embedder: own })
    assert.equal(hit?.key, 'a')
    await assert.rejects(db.embed('n', 'b', 'x'), failsWith('INVALID_INPUT', /model/))
    const agent = new AgentMemory(db, 'mill', { embedder: own })
    await agent.learn('Pump two takes oil')
    assert.equal((await agent.recall('oil'))[0]?.text, 'Pump two takes oil')
  })
})

describe('memory.embedder: TLS', () => {
  const made = certificates()
  if (!made) {
    console.log('\nSKIPPED memory.embedder: TLS (no openssl)\n')
    it.skip('there is no openssl')
    return
  }
  const { read } = made
  after(() => made.remove())
  let server: EmbeddingServer
  afterEach(() => server.stop())

  /** The number of components, or the code and what is wrong. */
  async function ask(tls?: RemoteOptions['tls']): Promise<unknown> {
    const own = embedder({ url: server.url, model: 'test-model', retries: 1, ...(tls && { tls }) })
    try {
      return (await own.embed(['oil'])).length
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return [code, /no TLS/.test(message)]
    } finally {
      own.close()
    }
  }

  it('knows the authority that it is given, and no other', async () => {
    server = await EmbeddingServer.start({ cert: read('server.pem'), key: read('server.key') })
    const failed = ['TRANSPORT', true]
    assert.deepEqual(await ask({ ca: read('ca.pem') }), 8)
    assert.deepEqual(await ask(), failed)
    assert.deepEqual(await ask({ ca: read('other.pem') }), failed)
    assert.deepEqual(await ask({ ca: read('ca.pem'), servername: 'elsewhere' }), failed)
    assert.deepEqual(await ask({ rejectUnauthorized: false }), 8)
    assert.equal(server.asked.length, 2)
  })

  it('shows its own certificate to a server that wants one', async () => {
    const own = { cert: read('server.pem'), key: read('server.key'), ca: read('ca.pem') }
    server = await EmbeddingServer.start({ ...own, requestCert: true, rejectUnauthorized: true })
    const tls = { ca: read('ca.pem'), cert: read('client.pem'), key: read('client.key') }
    assert.equal(await ask(tls), 8)
    assert.ok(!shownOf(embedder({ url: server.url, model: 'test-model', tls })).includes('PRIVATE'))
    assert.deepEqual(((await ask({ ca: read('ca.pem') })) as unknown[])[0], 'TRANSPORT')
    assert.equal(server.asked.length, 1)
  })
})
