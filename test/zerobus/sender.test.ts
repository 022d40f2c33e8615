import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import { Batch, ZerobusClient, type ZerobusConfig } from '../../nodes/arrow/lib'
import { toEngineError } from '../../nodes/shared/errors'
import { batchOf, columns, endAll, folder, idsOf, open, quick, range, sentAgain, start, table } from './rig'
import { schemaStatus } from './status'

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it went well'),
    (error) => toEngineError(error).code,
  )

describe('the Zerobus sender', () => {
  afterEach(endAll)

  for (const delivery of ['flight', 'json', 'protobuf'] as const) {
    it(`sends rows by ${delivery}: all, once, in order`, async () => {
      const server = await start({ ackDelayMs: 3 })
      const client = await open(server, { delivery })
      const batches = await Promise.all(range(10).map((number) => batchOf(number * 100, 100)))
      const results = await Promise.all(batches.map((batch) => client.send(batch)))
      for (const result of results) {
        const { success, attempts, totalRows, successfulCount, failedCount, error } = result
        const wanted = { success: true, attempts: 1, totalRows: 100, successfulCount: 100, failedCount: 0 }
        assert.deepEqual({ success, attempts, totalRows, successfulCount, failedCount }, wanted)
        assert.equal(error, undefined)
        assert.ok(result.latencyMs > 0 && result.batchSizeBytes >= 1600)
      }
      assert.equal(server.count(table), 1000)
      assert.equal(server.connections, 1)
      assert.deepEqual(idsOf(server), range(1000))
      assert.deepEqual(server.oauth.complaints, [])
      const { rows, streams, retries, inFlightBytes, lastError } = client.stats()
      assert.deepEqual(
        { rows, streams, retries, inFlightBytes, lastError },
        {
          rows: 1000,
          streams: 1,
          retries: 0,
          inFlightBytes: 0,
          lastError: null,
        },
      )
      await client.close()
      assert.equal(await codeOf(client.send(await batchOf(0, 1))), 'CLOSED')
    })
  }

  for (const delivery of ['flight', 'json', 'protobuf'] as const) {
    it(`has sends by ${delivery} under way at once: none waits for another's acknowledgement`, async () => {
      // It acknowledges nothing before it has all of them.
      const server = await start({ ackEvery: 20, hold: true })
      const client = await open(server, { delivery })
      const batches = await Promise.all(range(20).map((number) => batchOf(number * 10, 10)))
      const results = await Promise.all(batches.map((batch) => client.send(batch)))
      assert.deepEqual(
        results.map(({ attempts, error }) => [attempts, error]),
        range(20).map(() => [1, undefined]),
      )
      assert.equal(server.connections, 1)
      assert.deepEqual(idsOf(server), range(200))
    })

    it(`goes on at once where the service asks it to leave, by ${delivery}`, async function () {
      // A pause of two seconds at each would take longer, and so would one for the time that the service gives.
      this.timeout(50_000)
      const rotations = 30
      // The official client leaves a stream of records only when that ends.
      const ms = delivery === 'flight' ? 30_000 : 20
      const server = await start({
        ackDelayMs: 10,
        fault: (connection, message) =>
          connection < rotations && message === 2 ? { kind: 'close', ms, late: true } : undefined,
      })
      const client = await open(server, {
        delivery,
        retry: { maxAttempts: 5, baseDelayMs: 30_000, maxDelayMs: 30_000 },
      })
      let next = 0
      const sendOn = async () => {
        while (server.connections <= rotations) {
          const first = next
          next += 10
          assert.equal((await client.send(await batchOf(first, 10))).error, undefined)
        }
      }
      await Promise.all(range(4).map(sendOn))
      assert.equal(server.connections, rotations + 1)
      assert.deepEqual(
        idsOf(server).sort((a, b) => a - b),
        range(next),
      )
    })
  }

  it('leaves the environment of the process as it is', async () => {
    const before = { ...process.env }
    const client = await open(await start(), { observability: { endpoint: 'http://127.0.0.1:9' } })
    assert.equal((await client.send(await batchOf(0, 1))).success, true)
    await client.close()
    assert.deepEqual({ ...process.env }, before)
  })

  it('takes IPC bytes, tables of apache-arrow and rows, and another schema in between', async () => {
    const server = await start({ tables: { [table]: [] } })
    const client = await open(server)
    const foreign = tableFromArrays({ id: BigInt64Array.from([7n, 8n]) })
    // Another copy of the package: the module of ES.
    const other = (await import('apache-arrow')).tableFromArrays({ id: BigInt64Array.from([5n, 6n]) })
    assert.notEqual(Object.getPrototypeOf(other), Object.getPrototypeOf(foreign))
    assert.equal((await client.send(await (await batchOf(0, 3)).toIPC())).successfulCount, 3)
    assert.equal((await client.send(foreign)).successfulCount, 2)
    assert.equal((await client.send(other)).successfulCount, 2)
    assert.equal((await client.send(Buffer.from(tableToIPC(foreign)))).successfulCount, 2)
    assert.equal((await client.send([{ id: 9 }], { schema: columns })).successfulCount, 1)
    assert.equal((await client.send(await batchOf(0, 0))).success, true)
    assert.deepEqual(idsOf(server), [0, 1, 2, 7, 8, 5, 6, 7, 8, 9])
    assert.equal(await codeOf(client.send(Buffer.from('no Arrow'))), 'INVALID_INPUT')
  })

  it('sends only what was not acknowledged again', async () => {
    const faults = new Map<string, object>([
      ['0 2', { kind: 'partial', rows: 40 }],
      ['1 1', { kind: 'status', code: status.UNAVAILABLE }],
      ['2 0', { kind: 'end' }],
      ['3 1', { kind: 'cut' }],
      ['4 2', { kind: 'close', ms: 20 }],
    ])
    const server = await start({ fault: (connection, message) => faults.get(`${connection} ${message}`) as never })
    const client = await open(server)
    const results = []
    for (const number of range(10)) results.push(await client.send(await batchOf(number * 100, 100)))
    assert.deepEqual(
      results.map(({ success }) => success),
      range(10).map(() => true),
    )
    assert.deepEqual(idsOf(server), range(1000))
    assert.ok(server.connections >= 6)
    assert.equal(results[2]?.attempts, 2)
  })

  it('gives up after so many attempts, and says how it failed', async () => {
    const server = await start({ fault: () => ({ kind: 'status', code: status.UNAVAILABLE, message: 'not today' }) })
    const client = await open(server, { retry: { ...quick, maxAttempts: 3 } })
    const result = await client.send(await batchOf(0, 5))
    assert.deepEqual(
      [result.success, result.attempts, result.failedCount, result.errorKind, result.error?.code],
      [false, 3, 5, 'retry-exhausted', 'TRANSPORT'],
    )
    assert.deepEqual(
      result.failedRows.map(({ row, code }) => [row, code]),
      range(5).map((row) => [row, 'TRANSPORT']),
    )
    assert.equal(result.failedBatch().numRows, 5)
    assert.equal(result.successfulBatch().numRows, 0)
    assert.ok(client.stats().lastError?.includes('not today'))
  })

  it('is not stopped by an endpoint that is away for a while', async () => {
    const server = await start()
    const client = await open(server, { retry: { maxAttempts: 1000, baseDelayMs: 1, maxDelayMs: 5 } })
    server.away = true
    const sent = client.send(await batchOf(0, 10))
    while (client.stats().retries < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    server.away = false
    assert.equal((await sent).success, true)
    assert.deepEqual(idsOf(server), range(10))
  })

  it('finds the row that is too large, and sends the others', async () => {
    const server = await start({ tables: { [table]: [] }, maxReceive: 100_000 })
    const client = await open(server)
    const schema = [
      { name: 'id', type: 'int64' },
      { name: 'text', type: 'utf8' },
    ]
    const rows = range(50).map((id) => ({ id, text: id === 17 ? 'x'.repeat(200_000) : 'short' }))
    const before = client.send(await batchOf(1000, 10))
    const [first, result, after] = await Promise.all([
      before,
      client.send(rows, { schema }),
      client.send([{ id: 60, text: 'after' }], { schema }),
    ])
    assert.deepEqual([first?.success, after?.success, result?.success], [true, true, false])
    assert.deepEqual(
      result?.failedRows.map(({ row }) => row),
      [17],
    )
    assert.equal(result?.successfulCount, 49)
    const rest = range(50).filter((id) => id !== 17)
    assert.deepEqual(
      (await result?.successfulBatch().toRows())?.map(({ id }) => Number(id)),
      rest,
    )
    const ids = idsOf(server).filter((id) => id < 100)
    assert.deepEqual(
      [...new Set(ids)].sort((a, b) => a - b),
      [...rest, 60],
    )
    assert.deepEqual(sentAgain(server), [])
  })

  it('sets aside what Zerobus refuses, and goes on', async () => {
    const server = await start({ ackDelayMs: 20, reject: (rows) => rows.some(({ id }) => Number(id) === 33) })
    const client = await open(server)
    const results = await Promise.all(range(6).map(async (number) => client.send(await batchOf(number * 10, 10))))
    assert.deepEqual(
      results.map(({ failedRows }) => failedRows.map(({ row, code }) => [row, code])),
      [[], [], [], [[3, 'REFUSED']], [], []],
    )
    assert.ok(server.connections > 1)
    assert.deepEqual(
      [...new Set(idsOf(server))].sort((a, b) => a - b),
      range(60).filter((id) => id !== 33),
    )
    assert.deepEqual(sentAgain(server), [])
  })

  it('says what does not fit, row by row, and sends the rest', async () => {
    const server = await start({ tables: { [table]: [] } })
    const client = await open(server)
    const schema = [{ name: 'id', type: 'uint64' }]
    const result = await client.send([{ id: 1 }, { id: 2n ** 63n }, { id: 3 }], { schema })
    assert.deepEqual(
      result.failedRows.map(({ row, code }) => [row, code]),
      [[1, 'CONVERSION']],
    )
    assert.deepEqual([result.success, result.successfulRows], [false, [0, 2]])
    assert.deepEqual(idsOf(server), [1, 3])
  })

  it('names what keeps it out: credentials, table, schema', async () => {
    const server = await start()
    const failure = async (options: Partial<ZerobusConfig>) => {
      const client = await open(server, options)
      const { error, errorKind, attempts } = await client.send(await batchOf(0, 1))
      return [errorKind, error?.code, attempts]
    }
    assert.deepEqual(await failure({ clientSecret: 'wrong' }), ['authentication', 'UNAUTHORIZED', 0])
    assert.deepEqual(await failure({ table: 'main.default.other' }), ['missing', 'REFUSED', 0])
    const client = await open(server)
    const other = await client.send([{ other: 1 }])
    assert.deepEqual([other.errorKind, other.error?.code], ['schema', 'REFUSED'])
    assert.match(other.error?.message ?? '', /FieldNotInTable, MissingRequiredColumn/)
    // The others are not held up.
    assert.equal((await client.send(await batchOf(0, 1))).success, true)
    const test = (options: object) =>
      ZerobusClient.test({ ...(server.config(table) as unknown as ZerobusConfig), ...options }, columns)
    assert.equal(await test({}), undefined)
    assert.equal((await test({ clientSecret: 'wrong' }))?.kind, 'authentication')
    assert.equal((await test({ endpoint: 'http://127.0.0.1:9' }))?.kind, 'connection')
    assert.equal(server.count(table), 1)
  })

  it('gets a new token when the old one is not good any more', async () => {
    const server = await start()
    const client = await open(server)
    await client.send(await batchOf(0, 1))
    server.oauth.revoke()
    server.options.fault = (connection) => (connection === 0 ? { kind: 'end' } : undefined)
    assert.equal((await client.send(await batchOf(1, 1))).success, true)
    assert.equal(server.oauth.requests, 2)
    assert.deepEqual(idsOf(server), [0, 1])
  })

  it('tries again when the token endpoint fails, and shows no secret', async () => {
    const server = await start()
    server.oauth.failures.push({ status: 503, body: 'later' }, { status: 500, body: 'secret' })
    const client = await open(server)
    assert.equal((await client.send(await batchOf(0, 1))).success, true)
    server.oauth.failures.push({ status: 400, body: 'who is client with hush-hush?' })
    const other = await open(server, { clientSecret: 'hush-hush' })
    const { error, errorKind } = await other.send(await batchOf(0, 1))
    assert.equal(errorKind, 'authentication')
    assert.ok(!`${error?.message}${JSON.stringify(other.stats())}`.includes('hush'))
  })

  it('waits out a service that throttles', async () => {
    let refusals = 0
    const server = await start({
      fault: (_, message) =>
        message === 0 && refusals++ < 3
          ? { kind: 'status', code: status.RESOURCE_EXHAUSTED, message: 'quota of the table exceeded' }
          : undefined,
    })
    const client = await open(server)
    const result = await client.send(await batchOf(0, 10))
    assert.deepEqual([result.success, result.attempts], [true, 4])
    assert.deepEqual(idsOf(server), range(10))
  })

  it('leaves a stream without acknowledgements', async () => {
    const server = await start({ fault: (connection) => (connection === 0 ? { kind: 'silent' } : undefined) })
    const client = await open(server, { ackTimeoutMs: 200 })
    const result = await client.send(await batchOf(0, 10))
    assert.deepEqual([result.success, result.attempts], [true, 2])
  })

  for (const delivery of ['flight', 'protobuf', 'json'] as const) {
    it(`tells which rows of a batch had not arrived when it was closed, by ${delivery}`, async () => {
      // Of Arrow a part is two messages.
      const heard = delivery === 'flight' ? 2 : 1
      const text = [...columns, { name: 'text', type: 'utf8' }]
      const server = await start({
        tables: { [table]: [] },
        fault: (_, message) => (message < heard ? undefined : { kind: 'silent' }),
      })
      const client = await open(server, { delivery })
      const rows = range(6000).map((id) => ({ id, value: 0, text: 'x'.repeat(1500) }))
      const sending = client.send((await Batch.fromRows(rows, { schema: text })).batch)
      while (client.stats().rows === 0) await passed(1)
      await client.close(0)
      const result = await sending
      const arrived = client.stats().rows
      assert.ok(arrived > 0 && arrived < rows.length)
      assert.deepEqual([result.success, result.error?.code, result.successfulCount], [false, 'CLOSED', arrived])
      assert.deepEqual(result.successfulRows, range(arrived))
      assert.deepEqual(
        result.failed.map(({ first, count, code }) => [first, count, code]),
        [[arrived, rows.length - arrived, 'CLOSED']],
      )
      assert.equal((await result.failedBatch().slice(0, 1).toRows())[0]?.id, BigInt(arrived))
      assert.deepEqual(idsOf(server).slice(0, arrived), range(arrived))
    })
  }

  it('refuses a schema for good', async () => {
    const server = await start({ refuse: () => schemaStatus(['TYPE_INCOMPATIBLE']) })
    const client = await open(server)
    const { errorKind, attempts } = await client.send(await batchOf(0, 1))
    assert.deepEqual([errorKind, attempts, server.connections], ['schema', 0, 1])
  })

  it('tells all that is wrong with its options', async () => {
    const error = await ZerobusClient.open({ table: 'x', endpoint: 'http://far.example.com' }).catch(toEngineError)
    assert.ok('code' in error && error.code === 'INVALID_OPTION')
    for (const field of ['table', 'endpoint', 'unityCatalogUrl', 'clientId', 'clientSecret']) {
      assert.ok(error.message.includes(field), field)
    }
    assert.equal(await codeOf(ZerobusClient.open({ tabel: 'x' } as never)), 'INVALID_OPTION')
  })

  it('writes copies and sends nothing when its writer is disabled', async () => {
    const path = folder()
    const debug = { arrow: true, protobuf: true, folder: path }
    const client = await ZerobusClient.open({ table, writerDisabled: true, debug })
    assert.equal((await client.send(await batchOf(0, 3))).success, true)
    await client.close()
    const [name] = readdirSync(join(path, 'arrow')).filter((file) => file.endsWith('.arrow'))
    const copy = await Batch.fromIPC(readFileSync(join(path, 'arrow', name ?? '')))
    assert.equal(copy.numRows, 3)
    assert.equal(readdirSync(join(path, 'protobuf')).length, 2)
  })

  it('leaves the folder of its copies to who opens it next', async () => {
    const debug = { arrow: true, folder: folder() }
    for (let round = 1; round <= 3; round += 1) {
      const client = await ZerobusClient.open({ table, writerDisabled: true, debug })
      assert.equal((await client.send(await batchOf(0, 1))).success, true)
      await client.close()
      const names = readdirSync(join(debug.folder, 'arrow')).filter((file) => file.endsWith('.arrow'))
      assert.equal(names.length, round)
    }
  })

  it('counts rows that do not fit among those that failed', async () => {
    const client = await open(await start())
    const result = await client.send([{ id: 1, value: 0.5 }, { id: 'x', value: 1 }, null] as never, { schema: columns })
    assert.deepEqual([result.failedCount, client.stats().rowsFailed], [2, 2])
  })

  it('trusts a certificate authority of its own, and no other', async function () {
    const path = folder()
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: path, stdio: 'pipe' })
    try {
      run('version')
    } catch {
      this.skip()
    }
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA')
    const names = ['-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=CA:FALSE']
    run('req', ...key, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=localhost', ...names)
    run(
      'x509',
      '-req',
      '-in',
      'request.pem',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-out',
      'cert.pem',
      '-days',
      '2',
      '-copy_extensions',
      'copy',
    )
    const tls = { key: readFileSync(join(path, 'key.pem')), cert: readFileSync(join(path, 'cert.pem')) }
    const server = await start({ tls })
    const stranger = await open(server, { retry: { ...quick, maxAttempts: 2 } })
    const refused = await stranger.send(await batchOf(0, 1))
    assert.equal(refused.success, false)
    assert.equal(refused.error?.code, 'TRANSPORT')
    const client = await open(server, { ca: readFileSync(join(path, 'ca.pem'), 'utf8') })
    const result = await client.send(await batchOf(0, 1))
    assert.equal(result.error, undefined)
    assert.deepEqual(idsOf(server), [0])
  })
})
