/** The library's services between two contexts of this process. Loopback only. */
import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { Inbox, nativeIt, openContext, ros2Suite } from './rig'

const DOMAIN = 137
const BASIC = 'test_msgs/srv/BasicTypes'
const EMPTY = 'test_msgs/srv/Empty'
const half = `bool bool_value\nbyte byte_value\nchar char_value\nfloat32 float32_value\nfloat64 float64_value
int8 int8_value\nuint8 uint8_value\nint16 int16_value\nuint16 uint16_value\nint32 int32_value\nuint32 uint32_value
int64 int64_value\nuint64 uint64_value\nstring string_value\n`
const messages = { [BASIC]: `${half}---\n${half}`, [EMPTY]: '---' }
const long = { timeoutMs: 15_000 }

ros2Suite('services', () => {
  let asker: ros2.Context
  let answerer: ros2.Context

  before(async () => {
    asker = (await openContext(DOMAIN, 'asker', { messages })).context
    answerer = (await openContext(DOMAIN, 'answerer', { namespace: '/robot', messages })).context
  })

  after(() => Promise.all([asker.close(), answerer.close()]))

  it('a call gets its answer, whether the handler is at once or later', async () => {
    const ask = async (service: string, type: string, request: object) => {
      const { bool_value, string_value } = await asker.call(service, type, request, long)
      return [bool_value, string_value]
    }
    const server = answerer.serve('set', BASIC, ({ bool_value }) => ({ bool_value, string_value: 'at once' }))
    assert.deepEqual(await ask('/robot/set', BASIC, { bool_value: true }), [true, 'at once'])
    // Missing fields have their defaults, here and there.
    assert.deepEqual(await ask('/robot/set', 'test_msgs/BasicTypes', {}), [false, 'at once'])
    await server.close()
    const later = answerer.serve('/later', BASIC, async ({ bool_value }) => {
      await new Promise((resolve) => setImmediate(resolve))
      return { string_value: String(bool_value) }
    })
    assert.deepEqual(await ask('/later', BASIC, {}), [false, 'false'])
    await later.close()
  })

  it('many calls are on their way at a time, and answers may come in any order', async () => {
    const open: (() => void)[] = []
    const server = answerer.serve('/add', BASIC, ({ int64_value: a, int32_value: b }) => {
      return new Promise((resolve) => {
        open.push(() => resolve({ int64_value: (a as bigint) + BigInt(b as number) }))
        if (open.length === 200) for (const answer of open.reverse()) answer()
      })
    })
    const clients = [asker.client('/add', BASIC), asker.client('/add', BASIC, { int64: 'string' })]
    const calls = [...Array(200).keys()].map((a) => clients[a % 2]?.call({ int64_value: a, int32_value: 1000 }, long))
    assert.deepEqual(
      (await Promise.all(calls)).map((answer) => answer?.int64_value),
      [...Array(200).keys()].map((a) => (a % 2 ? String(a + 1000) : BigInt(a + 1000))),
    )
    assert.deepEqual([clients[0]?.pending, clients[1]?.pending], [0, 0])
    assert.deepEqual(server.counts(), { received: 200, dropped: 0 })
    await Promise.all([...clients, server].map((end) => end?.close()))
  })

  it('a call waits for its server', async () => {
    const answer = asker.call('/soon', BASIC, {}, long)
    const server = answerer.serve('/soon', BASIC, () => ({ int64_value: 3 }))
    assert.equal((await answer).int64_value, 3n)
    await server.close()
  })

  it('where nobody is, and where nobody answers, the call fails in time and leaves nothing behind', async () => {
    const client = asker.client('/silent', BASIC)
    await assert.rejects(client.call({}, { timeoutMs: 60 }), { code: 'TRANSPORT' })
    await assert.rejects(client.ready({ timeoutMs: 60 }), { code: 'TRANSPORT' })
    assert.equal(client.isReady(), false)
    const server = answerer.serve('/silent', BASIC, () => undefined)
    await client.ready(long)
    await assert.rejects(client.call({}, { timeoutMs: 60 }), { code: 'TIMEOUT' })
    assert.deepEqual(server.counts(), { received: 1, dropped: 1 })
    assert.equal(client.pending, 0)
    await server.close()
    await client.close()
  })

  it('a call ends when its server goes', async () => {
    const asked = new Inbox<unknown>()
    const server = answerer.serve('/going', BASIC, (request) => {
      asked.put(request)
      return new Promise(() => {})
    })
    const answer = asker.call('/going', BASIC, {}, { timeoutMs: 30_000 })
    await asked.until(1)
    await Promise.all([server.close(), assert.rejects(answer, { code: 'TRANSPORT' })])
  })

  it('a call can be given up, before and while it waits', async () => {
    const client = asker.client('/never', BASIC)
    await assert.rejects(client.call({}, { signal: AbortSignal.abort() }), { code: 'CLOSED' })
    const control = new AbortController()
    const call = client.call({}, { ...long, signal: control.signal })
    control.abort()
    await assert.rejects(call, { code: 'CLOSED' })
    const open = client.call({}, long)
    const ready = client.ready(long)
    await Promise.all([
      client.close(),
      assert.rejects(open, { code: 'CLOSED' }),
      assert.rejects(ready, { code: 'CLOSED' }),
    ])
    await assert.rejects(client.call({}), { code: 'CLOSED' })
    assert.deepEqual([client.isOpen, client.isReady(), client.pending], [false, false, 0])
    await client.close()
  })

  it('so many calls wait at most', async () => {
    const client = asker.client('/never', BASIC)
    const calls = [...Array(1001).keys()].map(() => client.call({}, long).catch((error) => error.code))
    assert.equal(await calls[1000], 'BUFFER_FULL')
    await client.close()
    assert.deepEqual([...new Set(await Promise.all(calls.slice(0, 1000)))], ['CLOSED'])
  })

  it('what a handler throws, or gives back wrongly, is told, and the client gets nothing', async () => {
    const told = new Inbox<{ code: string }>()
    const failing: [string, ros2.Handler][] = [
      ['INTERNAL', () => Promise.reject(new Error('broken'))],
      [
        'INTERNAL',
        () => {
          throw new Error('broken')
        },
      ],
      ['INVALID_INPUT', () => ({ int64_value: 'much' })],
      ['INVALID_INPUT', () => ({ int46_value: 1 })],
    ]
    for (const [place, [code, handler]] of failing.entries()) {
      const server = answerer.serve('/failing', BASIC, handler, { onError: told.put })
      await assert.rejects(asker.call('/failing', BASIC, {}, { timeoutMs: 400 }))
      assert.equal((await told.until(place + 1))[place]?.code, code)
      assert.deepEqual(server.counts(), { received: 1, dropped: 1 })
      await server.close()
    }
  })

  it('a request that is wrong is not sent', async () => {
    await assert.rejects(asker.call('/any', BASIC, { int64_value: 'one' }), { code: 'INVALID_INPUT' })
    await assert.rejects(asker.call('/any', BASIC, { int46_value: 1 }), { code: 'INVALID_INPUT' })
    await assert.rejects(asker.call('/a b', BASIC, {}), { code: 'INVALID_OPTION' })
    await assert.rejects(asker.call('/any', 'BasicTypes', {}), { code: 'INVALID_OPTION' })
    await assert.rejects(asker.call('/any', 'a/srv/B', {}), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => answerer.serve('/any', 'a/srv/B', () => {}), { code: 'UNKNOWN_TYPE' })
  })

  nativeIt('own definitions are understood', async () => {
    const messages = {
      'my_msgs/srv/Move': 'geometry_msgs/Point to\nLimits limits\n---\nLimits reached',
      'my_msgs/msg/Limits': 'float64[2] speed',
    }
    const { context } = await openContext(DOMAIN, 'own', { messages })
    const server = context.serve('/move', 'my_msgs/srv/Move', ({ limits }) => ({ reached: limits }))
    const client = context.client('/move', 'my_msgs/srv/Move')
    const request = { to: { x: 1 }, limits: { speed: [1, 2] } }
    assert.deepEqual(await client.call(request, long), { reached: { speed: [1, 2] } })
    await Promise.all([client.close(), server.close()])
    await context.close()
  })

  it('raw CDR passes', async () => {
    const raw = answerer.serve('/raw', EMPTY, () => Buffer.from([0, 1, 0, 0, 0]))
    assert.deepEqual(await asker.call('/raw', EMPTY, Buffer.from([0, 1, 0, 0, 0]), long), {})
    await raw.close()
  })

  it('a large request and response pass', async () => {
    const prefixes = Array.from({ length: 20_000 }, (_, place) => `name_${place}`)
    const type = 'rcl_interfaces/srv/ListParameters'
    const server = answerer.serve('/large', type, ({ prefixes }) => ({ result: { names: prefixes } }))
    const { result } = await asker.call('/large', type, { prefixes }, long)
    assert.deepEqual(result, { names: prefixes, prefixes: [] })
    await server.close()
  })

  it('clients are kept for the next call, but not for ever', async () => {
    const server = answerer.serve('/kept', BASIC, () => ({}))
    await asker.call('/kept', BASIC, {}, long)
    const topics = () => asker.graph().publishers.filter(({ node, service }) => service && node?.name === 'asker')
    const before = topics().length
    await asker.call('/kept', BASIC, {}, long)
    assert.equal(topics().length, before)
    for (let place = 0; place < 100; place += 1) {
      await asker.call(`/kept${place}`, BASIC, {}, { timeoutMs: 1 }).catch(() => {})
    }
    // Closing takes its time: calls of other names wait for it one after the other.
    while (topics().length > 64) await new Promise((resolve) => setTimeout(resolve, 20))
    await asker.call('/kept', BASIC, {}, long)
    await server.close()
  })
})
