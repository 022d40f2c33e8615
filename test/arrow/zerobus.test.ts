import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import type { Aside } from '../../nodes/arrow/aside'
import { Batch, Spool, ZerobusClient } from '../../nodes/arrow/lib'
import { TableHost } from '../../nodes/arrow/table-host'
import { running } from '../../nodes/shared/running'
import { batchOf, endAll, folder, idsOf, quick, range, sentAgain, start, table } from '../zerobus/rig'
import type { ZerobusServer } from '../zerobus/server'
import { temporary } from './rig'
import { columns, type Json, type Seen, ZerobusRig } from './zerobus-rig'

const rows = (first: number, count: number) => range(count, first).map((id) => ({ id, value: id / 4 }))
const idsIn = async (batch: Batch) => (await batch.toRows()).map(({ id }) => Number(id))
const spansOf = ({ arrow }: Seen) => arrow.failed.map(({ first, count, code }: Json) => [first, count, code])

/** Resolves when so many more messages have come to the server, and are kept. */
function heard(server: ZerobusServer, count = 1): Promise<void> {
  let left = count
  return new Promise((resolve) => {
    server.options.fault = () => {
      left -= 1
      if (left === 0) setImmediate(resolve)
      return undefined
    }
  })
}

describe('millrace-arrow-zerobus', () => {
  let rig: ZerobusRig
  afterEach(async () => {
    await rig.remove()
    await endAll()
  })

  it('sends batches, rows and a row, in their order, and passes the messages on with what became of them', async () => {
    const server = await start({ ackDelayMs: 5 })
    rig = await ZerobusRig.start(server)
    const ipc = await (await batchOf(0, 10)).toIPC()
    rig.send(
      { _msgid: 'a', topic: 't', payload: ipc },
      { _msgid: 'b', payload: rows(10, 5) },
      { _msgid: 'c', payload: { id: 15 } },
      { _msgid: 'd', payload: await (await batchOf(0, 0)).toIPC() },
    )
    const sent = await rig.until('out', 4)
    const byId = Object.fromEntries(sent.map((message: Seen) => [message._msgid, message]))
    assert.deepEqual([byId.a.topic, byId.a.payload, byId.b.payload], ['t', ipc, rows(10, 5)])
    const { latencyMs, batchSizeBytes, ...rest } = byId.a.arrow
    assert.ok(latencyMs > 0 && batchSizeBytes >= 160)
    assert.deepEqual(rest, {
      ...{ table, success: true, spooled: false, attempts: 1, totalRows: 10 },
      ...{ successfulCount: 10, failedCount: 0, failed: [], failedRows: [], error: null },
    })
    assert.deepEqual([byId.b.arrow.totalRows, byId.c.arrow.totalRows, byId.d.arrow.totalRows], [5, 1, 0])
    assert.deepEqual(idsOf(server), range(16))
    assert.equal((await rig.until('completed', 4)).length, 4)
    await rig.find('status', ({ fill, text }) => fill === 'green' && text === 'status.sent')
    assert.deepEqual([rig.seen.failed, rig.seen.caught], [[], []])
  })

  it('takes a table of apache-arrow, what that writes, and a batch of the library', async () => {
    const server = await start({ tables: { [table]: [] } })
    rig = await ZerobusRig.start(server)
    rig.send({ payload: tableFromArrays({ id: BigInt64Array.from([7n, 8n]) }) as never })
    assert.equal((await rig.until('out'))[0].arrow.successfulCount, 2)
    rig.send({ payload: await batchOf(9, 1) })
    await rig.until('out', 2)
    rig.send({ payload: tableToIPC(tableFromArrays({ id: BigInt64Array.of(10n) }), 'stream') as never })
    await rig.until('out', 3)
    assert.deepEqual(idsOf(server), [7, 8, 9, 10])
  })

  it('sends rows that do not arrive to the second output, with the reasons', async () => {
    const server = await start({ reject: (given) => given.some(({ id }) => Number(id) === 3) })
    rig = await ZerobusRig.start(server)
    const given = [{ id: 0 }, { id: 'x' }, { id: 2 }, { id: 3 }, { id: 4 }, { id: null }, {}]
    rig.send({ _msgid: 'a', payload: given }, { _msgid: 'b', payload: await (await batchOf(0, 5)).toIPC() })
    const failed = await rig.until('failed', 2)
    const [ofRows, ofBatch] = ['a', 'b'].map((id) => failed.find(({ _msgid }) => _msgid === id))
    assert.deepEqual(ofRows.payload, [{ id: 'x' }, { id: 3 }, { id: null }, {}])
    assert.deepEqual(spansOf(ofRows), [
      [1, 1, 'CONVERSION'],
      [3, 1, 'REFUSED'],
      [5, 1, 'CONVERSION'],
      [6, 1, 'CONVERSION'],
    ])
    const { success, totalRows, successfulCount, failedCount } = ofRows.arrow
    assert.deepEqual([success, totalRows, successfulCount, failedCount], [false, 7, 3, 4])
    const { failedRows, error } = ofRows.arrow
    assert.deepEqual(
      failedRows.map(({ row, code }: Json) => [row, code]),
      spansOf(ofRows).map((span: Json[]) => [span[0], span[2]]),
    )
    assert.deepEqual([error.code, error.message], ['CONVERSION', failedRows[0].message])
    assert.deepEqual([ofBatch.arrow.error.code, ofBatch.arrow.error.kind], ['REFUSED', 'rejected'])
    assert.deepEqual(spansOf(ofBatch), [[3, 1, 'REFUSED']])
    const lost = await Batch.fromIPC(ofBatch.payload)
    assert.deepEqual(
      (await lost.toRows()).map(({ id }) => Number(id)),
      [3],
    )
    assert.equal((await rig.until('out', 2)).length, 2)
    await rig.until('completed', 2)
    assert.deepEqual(rig.seen.caught, [])
    assert.deepEqual([rig.stats?.rows, rig.stats?.rowsFailed], [7, 5])
    await rig.find('status', ({ fill, text }) => fill === 'yellow' && text === 'status.sent · status.failed')
  })

  it('tells of rows in a row that have one reason as one', async () => {
    rig = await ZerobusRig.start(await start())
    rig.send({ payload: [{ id: 1 }, { more: 1 }, { id: 2, more: 1 }, { id: 2, more: 1 }] })
    const [message] = await rig.until('failed')
    assert.equal(message.arrow.failedCount, 3)
    assert.deepEqual(message.payload.length, 3)
    assert.deepEqual((await rig.until('out'))[0].arrow.successfulCount, 1)
  })

  it('makes errors of them where nobody hears that output, and sends the rest', async () => {
    const server = await start()
    rig = await ZerobusRig.start(server, { failures: false })
    rig.send({ _msgid: 'a', payload: [{ id: 1 }, { id: 'x' }] })
    const [caught] = await rig.until('caught')
    assert.deepEqual([caught._msgid, caught.error.code], ['a', 'CONVERSION'])
    assert.equal((await rig.until('out'))[0].arrow.successfulCount, 1)
    assert.deepEqual(idsOf(server), [1])
  })

  for (const [title, setup, code, fill] of [
    ['credentials', { credentials: { clientSecret: 'wrong' } }, 'UNAUTHORIZED', 'red'],
    ['table', { config: { table: 'main.default.other' } }, 'REFUSED', 'red'],
    ['endpoint', { config: { endpoint: 'http://127.0.0.1:9' } }, 'TRANSPORT', 'yellow'],
    ['missing credentials', { credentials: { clientId: '' } }, 'INVALID_OPTION', 'red'],
  ] as const) {
    it(`says what is wrong: ${title}`, async () => {
      rig = await ZerobusRig.start(await start(), setup)
      rig.send({ payload: rows(0, 3) })
      const [message] = await rig.until('failed')
      assert.deepEqual(spansOf(message), [[0, 3, code]])
      assert.deepEqual(message.payload, rows(0, 3))
      await rig.until('completed')
      assert.deepEqual(rig.seen.out, [])
      await rig.find('status', (status) => status.fill === fill && status.text === `error.${code} · status.failed`)
    })
  }

  it('refuses what is no batch and no rows', async () => {
    rig = await ZerobusRig.start(await start())
    rig.send(...['text', 1, null, undefined, new Uint8Array(3), Buffer.from('x')].map((payload) => ({ payload })))
    const caught = await rig.until('caught', 6)
    assert.deepEqual([...new Set(caught.map(({ error }) => error.code))], ['INVALID_INPUT'])
  })

  it('has no more messages in hand than Node-RED lets it, nor more bytes than twice those in flight', async () => {
    const server = await start({ ackDelayMs: 60_000 })
    rig = await ZerobusRig.start(server, { settings: { nodeMessageBufferMaxLength: 2 } })
    rig.send(...range(3).map((id) => ({ _msgid: `${id}`, payload: { id } })))
    const [caught] = await rig.until('caught')
    assert.deepEqual([caught._msgid, caught.error.code], ['2', 'BUFFER_FULL'])
    await rig.remove()
    rig = await ZerobusRig.start(server, { config: { inFlightMb: 1 } })
    const big = await (await batchOf(0, 150_000)).toIPC()
    rig.send({ _msgid: 'big', payload: big }, { _msgid: 'late', payload: { id: 1 } })
    const [late] = await rig.until('caught')
    assert.deepEqual([late._msgid, late.error.code], ['late', 'BUFFER_FULL'])
  })

  it('waits for what is on its way when it is closed, but not for long', async function () {
    this.timeout(90_000)
    const server = await start({ ackDelayMs: 300 })
    rig = await ZerobusRig.start(server)
    rig.send({ payload: rows(0, 10) })
    await heard(server)
    await rig.stop()
    assert.deepEqual(idsOf(server), range(10))
    assert.deepEqual([rig.seen.caught, rig.seen.error], [[], []])
    server.options.ackDelayMs = 60_000
    rig = await ZerobusRig.start(server)
    rig.send({ payload: rows(10, 10) })
    await heard(server)
    const begin = performance.now()
    await rig.stop()
    // Node-RED itself would wait for 15 s.
    assert.ok(performance.now() - begin < 12_000)
  })

  it('is of no use without a table', async () => {
    rig = await ZerobusRig.start(await start(), { config: { type: 'helper' } })
    rig.send({ payload: { id: 1 } })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })

  describe('with a spool', () => {
    const config = { spool: true }

    it('is done when rows are on the disk; they arrive when the endpoint is back, over a restart too', async () => {
      const server = await start()
      server.away = true
      rig = await ZerobusRig.start(server, { config })
      rig.send(...range(3).map((number) => ({ payload: rows(number * 10, 10) })))
      const sent = await rig.until('out', 3)
      assert.ok(sent.every(({ arrow }: Seen) => arrow.success && arrow.spooled))
      await rig.until('completed', 3)
      await rig.until('warn')
      // Why first, then how much waits.
      const isWhy = (text: string) => /^(there is no connection|the stream to Zerobus).* · status.held$/.test(text)
      await rig.find('status', ({ fill, text }) => fill === 'yellow' && isWhy(text))
      const { link, backlog } = running.get('table') ?? assert.fail()
      assert.deepEqual([link?.().state, backlog?.()?.records], ['failed', 3])
      await rig.stop()
      assert.deepEqual(idsOf(server), [])
      assert.ok(existsSync(join(rig.userDir, 'millrace', 'arrow', 'zerobus-table')))
      server.away = false
      const arrived = heard(server, 3)
      rig = await ZerobusRig.start(server, { config, userDir: rig.userDir })
      await arrived
      const more = heard(server)
      rig.send({ payload: rows(30, 1) })
      await rig.until('out')
      await more
      await rig.find('status', ({ fill, text }) => fill === 'green' && text === 'status.sent')
      assert.deepEqual(idsOf(server), range(31))
      assert.deepEqual(sentAgain(server), [])
    })

    it('sends rows that Zerobus refuses later to the second output, in a message of their own', async () => {
      const server = await start({ reject: (given) => given.some(({ id }) => Number(id) === 1) })
      rig = await ZerobusRig.start(server, { config: { ...config, spoolFolder: 'mine' } })
      rig.send({ payload: rows(0, 3) })
      assert.equal((await rig.until('out'))[0].arrow.success, true)
      const [{ payload, arrow }] = await rig.until('failed')
      const { file, failed, failedRows, error, ...rest } = arrow
      assert.equal(file, join(rig.userDir, 'mine', 'rejected', '0-1.arrow'))
      assert.deepEqual(
        failed.map(({ first, count, code }: Json) => [first, count, code]),
        [[0, 1, 'REFUSED']],
      )
      const { message } = error
      assert.deepEqual(failedRows, [{ row: 0, code: 'REFUSED', message }])
      assert.deepEqual(error, { code: 'REFUSED', message, retryable: false })
      const counts = { totalRows: 1, successfulCount: 0, failedCount: 1 }
      assert.deepEqual(rest, { table, success: false, spooled: true, ...counts })
      for (const bytes of [payload, readFileSync(file)]) {
        assert.deepEqual(await idsIn(await Batch.fromIPC(bytes)), [1])
      }
      await rig.find('status', ({ fill, text }) => fill === 'yellow' && text === 'status.sent · status.failed')
      // Once.
      rig.send({ payload: rows(3, 3) })
      await rig.until('out', 2)
      assert.deepEqual([rig.seen.failed.length, rig.seen.caught], [1, []])
      assert.ok(!rig.seen.warn.includes('warning.refused'))
    })

    const brokenIn = async (userDir: string) => {
      const spool = await Spool.open({ folder: join(userDir, 'mine') })
      await spool.append(Buffer.from('no rows'))
      await spool.close()
    }

    it('sends a batch that cannot be read any more to the second output, too', async () => {
      const server = await start()
      const userDir = temporary()
      await brokenIn(userDir)
      rig = await ZerobusRig.start(server, { config: { ...config, spoolFolder: 'mine' }, userDir })
      const [{ payload, arrow }] = await rig.until('failed')
      const { file, error, failed, ...rest } = arrow
      assert.equal(String(payload), 'no rows')
      assert.deepEqual([dirname(file), extname(file)], [join(userDir, 'mine', 'rejected'), '.bin'])
      assert.deepEqual(
        [error.code, failed],
        ['INVALID_INPUT', [{ first: 0, count: 0, code: error.code, message: error.message }]],
      )
      const counts = { totalRows: 0, successfulCount: 0, failedCount: 0, failedRows: [] }
      assert.deepEqual(rest, { table, success: false, spooled: true, ...counts })
      rig.send({ payload: rows(0, 3) })
      await rig.until('out')
      assert.deepEqual([rig.seen.failed.length, rig.seen.caught], [1, []])
    })

    it('makes an error of it where nobody hears that output', async () => {
      const server = await start()
      const userDir = temporary()
      await brokenIn(userDir)
      rig = await ZerobusRig.start(server, { config: { ...config, spoolFolder: 'mine' }, userDir, failures: false })
      const [{ payload, error }] = await rig.until('caught')
      assert.deepEqual(
        [String(payload), error.code, error.message],
        ['no rows', 'INVALID_INPUT', 'EngineError: failure.unreadable'],
      )
    })

    it('makes an error of them where nobody hears that output', async () => {
      const server = await start({ reject: (given) => given.some(({ id }) => Number(id) === 1) })
      rig = await ZerobusRig.start(server, { config, failures: false })
      rig.send({ payload: rows(0, 3) })
      const [caught] = await rig.until('caught')
      assert.deepEqual([caught.error.code, caught.arrow.failedCount, rig.seen.failed], ['REFUSED', 1, []])
      assert.deepEqual(await idsIn(await Batch.fromIPC(caught.payload)), [1])
    })

    it('opens the spool again when the disk failed it', async () => {
      const server = await start()
      server.away = true
      rig = await ZerobusRig.start(server, { config: { ...config, spoolFolder: 'mine' } })
      rig.send({ payload: rows(0, 1) })
      await rig.until('out')
      const path = join(rig.userDir, 'mine')
      for (const name of readdirSync(path).filter((name) => name.endsWith('.spool'))) unlinkSync(join(path, name))
      rig.send({ payload: rows(1, 1) })
      assert.deepEqual(spansOf((await rig.until('failed'))[0]), [[0, 1, 'STORE_FAILED']])
      rig.send({ payload: rows(2, 1) })
      assert.equal((await rig.until('out', 2))[1].arrow.spooled, true)
    })

    it('says that batches gave way to newer ones', async () => {
      const server = await start()
      server.away = true
      rig = await ZerobusRig.start(server, { config: { ...config, spoolMb: 1, spoolWhenFull: 'drop-oldest' } })
      const random = range(20_000).map((id) => ({ id, value: Math.random() }))
      for (const turn of range(8)) {
        rig.send({ payload: random })
        await rig.until('out', turn + 1)
      }
      await rig.find('warn', (text) => text === 'warning.lost')
    })

    it('has it alone: another table says so, and tries again', async function () {
      this.timeout(90_000)
      const server = await start()
      const path = { ...config, spoolFolder: 'one' }
      const first = await ZerobusRig.start(server, { config: path })
      await first.stop()
      const other = await ZerobusClient.open({
        ...(server.config(table) as unknown as { table: string }),
        spool: { folder: join(first.userDir, 'one') },
      })
      rig = await ZerobusRig.start(server, { config: path, userDir: first.userDir })
      await rig.until('warn')
      rig.send({ payload: rows(0, 1) })
      assert.deepEqual(spansOf((await rig.until('failed'))[0]), [[0, 1, 'STORE_LOCKED']])
      await other.close()
      rig.send({ payload: rows(0, 1) })
      assert.equal((await rig.until('out'))[0].arrow.spooled, true)
    })
  })
})

describe('a Zerobus table that several nodes use', () => {
  let host: TableHost
  const told: unknown[][] = []
  const user = (hearsFailures: boolean) => {
    const heard: Aside[] = []
    let came: () => void
    const first = new Promise<void>((resolve) => {
      came = resolve
    })
    const refused = (aside: Aside) => {
      heard.push(aside)
      came()
    }
    return { tick() {}, hearsFailures, refused, heard, first }
  }
  const open = (server: ZerobusServer, spool: Json) => {
    told.length = 0
    const options = { ...server.config(table), retry: quick, spool: { folder: folder(), ...spool } }
    host = new TableHost(options as never, { columns, unknown: 'error' }, (...said) => told.push(said))
  }
  afterEach(async () => {
    await host.close()
    await endAll()
  })
  const remember = (users: { heard: Aside[] }[]) => users.map(({ heard }) => heard.length)

  it('tells one of them, who can pass it on; without any, it warns', async () => {
    const server = await start({ reject: (given) => given.some(({ id }) => Number(id) % 10 === 1) })
    open(server, {})
    const users = [user(false), user(true), user(true)]
    for (const one of users) host.join(one)
    const client = await host.opened()
    await client.send(await batchOf(0, 3))
    await users[1]?.first
    assert.deepEqual(remember(users), [0, 1, 0])
    const refusals = () => told.filter(([key]) => key === 'warning.refused').length
    assert.equal(refusals(), 0)
    const { rowsAside, rowsFailed } = client.stats()
    assert.deepEqual([rowsAside, rowsFailed], [1, 1])
    for (const one of users) host.leave(one)
    await client.send(await batchOf(10, 3))
    await client.flush()
    await host.close()
    assert.equal(refusals(), 1)
    assert.deepEqual(remember(users), [0, 1, 0])
  })

  it('tells of each client what it lost', async function () {
    this.timeout(20_000)
    const server = await start()
    server.away = true
    open(server, { maxBytes: 1 << 20, whenFull: 'drop-oldest' })
    const random = async () => {
      const given = range(20_000).map((id) => ({ id, value: Math.random() }))
      return (await Batch.fromRows(given, { schema: columns })).batch
    }
    const lose = async (batches: number) => {
      const client = await host.opened()
      for (let batch = 0; batch < batches; batch += 1) await client.send(await random())
      return client
    }
    // As the seconds go by, but without waiting for them.
    const { lent, tick } = host as unknown as { lent: { drop(): void }; tick(): void }
    host.join(user(true))
    const lost = () => {
      const batches = told
        .filter(([key]) => key === 'warning.lost')
        .map(([, params]) => Number((params as Json).batches))
      return batches.reduce((sum, count) => sum + count, 0)
    }
    const first = await lose(12)
    tick.call(host)
    const before = first.stats().spoolLost
    assert.equal(lost(), before)
    lent.drop()
    const second = await lose(3)
    tick.call(host)
    const after = second.stats().spoolLost
    assert.ok(after > 0 && after < before)
    assert.equal(lost(), before + after)
  })
})
