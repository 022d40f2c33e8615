/** What the sender tells of itself: its options' faults, its result as plain data, whom it trusts. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import helper from 'node-red-node-test-helper'
import { arrow } from '../../nodes'
import tableNode from '../../nodes/arrow/zerobus-table'
import { certificates } from '../action/certificates'
import { batchOf, columns, endAll, folder, idsOf, open, quick, range, start, table } from '../zerobus/rig'

const { ZerobusClient } = arrow

describe('arrow.ZerobusClient', () => {
  afterEach(endAll)

  it('tells all faults of its options at once: unknown, of the wrong kind, out of range', async () => {
    const config = {
      endpoint: 'http://far.example.com',
      table: 5,
      tabel: 'a.b.c',
      clientId: 'id',
      clientSecret: 1234567,
      retry: { maxAttempts: 0, often: true },
      ackTimeoutMs: 5n,
      connectTimeoutMs: Number.NaN,
      spool: { maxBytes: 'much' },
      observability: { endpoint: 'collector' },
    }
    const faults = [
      "table is '5', and has to be a text",
      "tabel is 'a.b.c', which is no option",
      "clientSecret is '***', and has to be a text",
      "retry.often is 'true', which is no option",
      "retry.maxAttempts is '0', and has to be 1 or more",
      "ackTimeoutMs is '5n', and has to be a whole number",
      "connectTimeoutMs is 'NaN', and has to be a whole number",
      "endpoint is 'http://far.example.com', which is no https:// address",
      "unityCatalogUrl is '', which is no https:// address",
      "spool.maxBytes is 'much', and has to be a whole number",
      "spool.folder is '', and has to be set",
      "observability.endpoint is 'collector', which is no http:// or https:// address",
    ]
    const told = ({ code, message }: { code: string; message: string }) => {
      assert.equal(code, 'INVALID_OPTION')
      assert.deepEqual(
        faults.filter((fault) => !message.includes(fault)),
        [],
        message,
      )
      assert.ok(!message.includes('1234567'))
      return true
    }
    await assert.rejects(ZerobusClient.open(config as never), told as never)
    const tried = await ZerobusClient.test(config as never, [{ name: 'id', type: 'int64' }])
    assert.ok(tried && told(tried.error) && tried.kind === 'configuration')
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    for (const odd of [undefined, [], 'x', loop]) {
      await assert.rejects(ZerobusClient.open(odd as never), { code: 'INVALID_OPTION' })
    }
  })

  it('tells what became of a batch as plain data', async () => {
    const server = await start({ reject: (rows) => rows.some(({ id }) => Number(id) === 1) })
    const client = await open(server)
    const result = await client.send(await batchOf(0, 3))
    const { latencyMs, batchSizeBytes, ...rest } = JSON.parse(JSON.stringify(result)) as Record<string, unknown>
    assert.ok(Number(latencyMs) > 0 && Number(batchSizeBytes) > 0)
    const [failed] = result.failedRows
    assert.ok(failed?.message.includes('Zerobus refuses it'))
    assert.deepEqual(rest, {
      ...{ success: false, spooled: false, attempts: result.attempts },
      ...{ totalRows: 3, successfulCount: 2, failedCount: 1 },
      failedRows: [{ row: 1, code: 'REFUSED', message: failed?.message }],
      error: { code: 'REFUSED', kind: 'rejected', message: failed?.message, retryable: false },
    })
    assert.equal((await client.send(await batchOf(5, 1))).toJSON().error, null)
  })

  it('tells of a value that does not fit where it lies, and what it is', async () => {
    const client = await open(await start({ tables: { [table]: [] } }), { delivery: 'protobuf' })
    const schema = [
      { name: 'id', type: 'int64' },
      { name: 'all', type: 'list<struct<x: uint64>>' },
      { name: 'text', type: 'utf8' },
    ]
    const rows = [
      { id: 0, all: [{ x: 1 }] },
      { id: 1, all: [{ x: 1 }, { x: 2n ** 64n - 1n }] },
      { id: 2, text: 'x'.repeat(10_000_001) },
      { id: 3, all: [{ x: 1 }, null] },
      { id: 4 },
    ]
    const { failedRows, successfulRows } = await client.send(rows, { schema })
    assert.deepEqual(failedRows, [
      {
        row: 1,
        code: 'CONVERSION',
        message: 'row 1, column all[1].x: 18446744073709551615 is beyond what the column can hold',
      },
      { row: 2, code: 'TOO_LARGE', message: failedRows[1]?.message },
      { row: 3, code: 'CONVERSION', message: 'row 3, column all[1]: null is missing, and the column takes no null' },
    ])
    assert.match(failedRows[1]?.message ?? '', /^row 2, 100000\d\d bytes is more than the 10000000 bytes/)
    assert.deepEqual(successfulRows, [0, 4])
  })

  it('sends the rows that fit, and tells of the others by their places', async () => {
    const server = await start({ reject: (rows) => rows.some(({ id }) => Number(id) === 4) })
    const client = await open(server)
    const rows = [{ id: 'x' }, { id: 1 }, { id: 2, more: 1 }, { id: 3 }, { id: 4 }, { id: 5 }]
    const result = await client.send(rows, { schema: columns })
    const { success, totalRows, successfulCount, failedCount, failedRows, successfulRows, errorKind } = result
    assert.deepEqual([success, totalRows, successfulCount, failedCount, errorKind], [false, 6, 3, 3, 'rejected'])
    assert.deepEqual(
      failedRows.map(({ row, code }) => [row, code]),
      [
        [0, 'CONVERSION'],
        [2, 'CONVERSION'],
        [4, 'REFUSED'],
      ],
    )
    assert.deepEqual(
      [successfulRows, idsOf(server)],
      [
        [1, 3, 5],
        [1, 3, 5],
      ],
    )
    const ids = async (batch: arrow.Batch) => (await batch.toRows()).map(({ id }) => Number(id))
    assert.deepEqual([await ids(result.failedBatch()), await ids(result.successfulBatch())], [[4], [1, 3, 5]])
    const none = (await client.send([{ id: 'x' }], { schema: columns })).toJSON()
    assert.deepEqual([none.totalRows, none.successfulCount, none.success], [1, 0, false])
    assert.deepEqual([none.error?.code, none.error?.kind], ['CONVERSION', 'conversion'])
  })

  it('keeps the columns that the first rows tell, whatever values come later', async () => {
    const server = await start({ tables: { [table]: [{ name: 'value', type: 'DOUBLE' }] } })
    const client = await open(server)
    await assert.rejects(client.send([]), { code: 'INVALID_OPTION' })
    await assert.rejects(client.send([{ other: 1 }], { unknown: 'drop' as never }), { code: 'INVALID_OPTION' })
    for (const value of [1.5, 2, null]) assert.equal((await client.send([{ value }])).error, undefined)
    const { failedRows } = await client.send([{ value: 'x' }, { value: 3 }])
    assert.deepEqual([failedRows.map(({ row, code }) => [row, code])], [[[0, 'CONVERSION']]])
    assert.deepEqual(
      server.rows(table).map(({ value }) => value),
      [1.5, 2, null, 3],
    )
    assert.equal(client.stats().streams, 1)
  })

  it('sends in the order of the calls, however long their rows take to be a batch', async () => {
    const server = await start()
    const client = await open(server)
    const rows = range(40_000).map((id) => ({ id, value: id / 3 }))
    const [ipc, batch] = [await (await batchOf(40_000, 1)).toIPC(), await batchOf(40_001, 1)]
    const sends = [
      client.send(rows, { schema: columns }),
      assert.rejects(client.send(Buffer.from('no Arrow')), { code: 'INVALID_INPUT' }),
      client.send(ipc),
      client.send(batch),
    ]
    for (const result of await Promise.all(sends)) assert.equal(result?.error, undefined)
    assert.deepEqual(idsOf(server), range(40_002))
  })

  it('flushes and closes behind all that was given before', async () => {
    const server = await start({ ackDelayMs: 50 })
    const client = await open(server)
    const rows = range(20_000).map((id) => ({ id, value: id / 3 }))
    const flushed = client.send(rows, { schema: columns })
    await client.flush()
    assert.equal(server.count(table), 20_000)
    const more = range(20_000).map((place) => ({ id: 20_000 + place, value: null }))
    const closed = client.send(more, { schema: columns })
    await client.close(Number.POSITIVE_INFINITY)
    assert.deepEqual([(await flushed).success, (await closed).success], [true, true])
    assert.deepEqual(idsOf(server), range(40_000))
    await assert.rejects(client.send(rows), { code: 'CLOSED' })
  })

  it('is closed by its scope, which lets another have the spool', async () => {
    const server = await start()
    const config: arrow.ZerobusConfig = {
      ...(server.config(table) as unknown as arrow.ZerobusConfig),
      spool: { folder: folder() },
    }
    let first: arrow.ZerobusClient | undefined
    {
      await using client = await ZerobusClient.open(config)
      first = client
      assert.ok((await client.send(await batchOf(0, 2))).spooled)
      await client.flush()
      await assert.rejects(ZerobusClient.open(config), { code: 'STORE_LOCKED' })
    }
    await assert.rejects(first.send(await batchOf(2, 1)), { code: 'CLOSED' })
    await using second = await ZerobusClient.open(config)
    assert.equal(second.stats().spooled, 0)
    assert.deepEqual(idsOf(server), [0, 1])
  })
})

describe('certificates of an authority of its own', function () {
  this.timeout(60_000)
  const made = certificates()
  if (!made) return
  const { read } = made
  after(() => made.remove())
  afterEach(endAll)

  it('are trusted at the token endpoint, too', async () => {
    const server = await start()
    const { port } = new URL(server.oauth.url)
    const front = createServer({ key: read('server.key'), cert: read('server.pem') }, (socket) => {
      const inner = connect(Number(port), '127.0.0.1')
      socket.pipe(inner).pipe(socket)
      for (const end of [socket, inner]) end.on('error', () => {})
    })
    // Who does not trust it breaks off.
    front.on('tlsClientError', () => {})
    await once(front.listen(0, '127.0.0.1'), 'listening')
    const unityCatalogUrl = `https://localhost:${(front.address() as AddressInfo).port}`
    const retry = { ...quick, maxAttempts: 2 }
    for (const [ca, code] of [
      [undefined, 'TRANSPORT'],
      [read('other.pem'), 'TRANSPORT'],
      [read('ca.pem'), undefined],
    ] as const) {
      const client = await open(server, { unityCatalogUrl, retry, ...(ca && { ca }) })
      assert.equal((await client.send(await batchOf(0, 1))).error?.code, code)
      await client.close(0)
    }
    assert.deepEqual([server.oauth.complaints, idsOf(server)], [[], [0]])
    front.close()
  })

  it('are all that a table node takes of TLS settings: it warns of what it does not use', async () => {
    const tlsNode = require('@node-red/nodes/core/network/05-tls.js') as never
    const warned: string[] = []
    const heard = (RED: never) => {
      const { nodes } = RED as { nodes: { createNode(node: { warn(text: string): void }, config: object): void } }
      const createNode = (node: { warn(text: string): void }, config: object) => {
        nodes.createNode(node, config)
        node.warn = (text) => warned.push(text)
      }
      return tableNode(
        Object.assign(Object.create(RED), { nodes: Object.assign(Object.create(nodes), { createNode }) }),
      )
    }
    const tls = { type: 'tls-config', ca: made.path('ca.pem'), cert: '', key: '', verifyservercert: true }
    const of = (name: string) => ({ id: name, type: 'millrace-arrow-zerobus-table', table, tls: `tls-${name}` })
    const settings = {
      plain: {},
      client: { cert: made.path('client.pem'), key: made.path('client.key') },
      blind: { verifyservercert: false },
    }
    const flow = Object.entries(settings).flatMap(([name, more]) => [{ ...tls, ...more, id: `tls-${name}` }, of(name)])
    await helper.load([tlsNode, heard as never], flow as never)
    assert.equal(warned.filter((text) => text.includes('warning.tls')).length, 2, String(warned))
    await helper.unload()
  })
})
