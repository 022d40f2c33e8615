import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as passed } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { Batch } from '../../nodes/arrow/lib'
import { toEngineError } from '../../nodes/shared/errors'
import { batchOf, columns, endAll, folder, idsOf, open, quick, range, sentAgain, start, table } from './rig'

describe("the Zerobus sender's spool", () => {
  afterEach(endAll)

  it('takes batches while the endpoint is away, keeps them over a restart, and sends them in order', async () => {
    const server = await start()
    const path = folder()
    server.away = true
    const first = await open(server, { spool: { folder: path } })
    for (const number of range(5)) {
      const result = await first.send(await batchOf(number * 10, 10))
      assert.deepEqual([result.success, result.spooled, result.failedCount], [true, true, 0])
    }
    const { spooled, spoolBytes, spoolOldestMs } = first.stats()
    assert.deepEqual([spooled, spoolBytes > 0, typeof spoolOldestMs], [5, true, 'number'])
    await first.close(0)
    server.away = false
    const second = await open(server, { spool: { folder: path } })
    await second.flush()
    assert.deepEqual(idsOf(server), range(50))
    assert.equal(second.stats().spooled, 0)
    await second.send(await batchOf(50, 10))
    await second.flush()
    assert.deepEqual(idsOf(server), range(60))
  })

  it('belongs to one client, and says so', async () => {
    const server = await start()
    const spool = { folder: folder() }
    await open(server, { spool })
    const error = await open(server, { spool }).catch(toEngineError)
    assert.ok('code' in error && error.code === 'STORE_LOCKED')
  })

  it('waits for room, refuses, or lets the oldest go, as it is told', async () => {
    const server = await start()
    server.away = true
    const big = async () => {
      const rows = range(20_000).map((id) => ({ id, value: Math.random() }))
      return (await Batch.fromRows(rows, { schema: columns })).batch
    }
    const refusing = await open(server, { spool: { folder: folder(), maxBytes: 1 << 20, whenFull: 'refuse' } })
    const codes = []
    for (const _ of range(6)) codes.push((await refusing.send(await big())).error?.code)
    assert.equal(codes[0], undefined)
    assert.equal(codes[5], 'BUFFER_FULL')
    const dropping = await open(server, { spool: { folder: folder(), maxBytes: 1 << 20, whenFull: 'drop-oldest' } })
    for (const _ of range(8)) assert.equal((await dropping.send(await big())).success, true)
    assert.ok(dropping.stats().spoolLost > 0)
    const blocking = await open(server, { spool: { folder: folder(), maxBytes: 1 << 20 } })
    const before = server.count(table)
    const sends = Promise.all(range(8).map(async () => blocking.send(await big())))
    server.away = false
    assert.ok((await sends).every(({ success }) => success))
    await blocking.flush()
    assert.ok(server.count(table) - before >= 160_000)
  })

  it('says that the disk is full, keeps what it took, and goes on when there is room', async function () {
    const disk = folder()
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'none', disk]).status !== 0) {
      console.log('\nSKIPPED spool: a full disk (needs the right to mount one)\n')
      return this.skip()
    }
    try {
      const server = await start()
      server.away = true
      // With the default, `block`: it waits for room within its own limit, as the endpoint makes that.
      // None is given up before the endpoint is back: the next would be first then.
      const retry = { ...quick, maxAttempts: 100_000 }
      const client = await open(server, { spool: { folder: join(disk, 'spool') }, retry })
      const random = async (first: number) => {
        const rows = range(4000, first).map((id) => ({ id, value: Math.random() }))
        return (await Batch.fromRows(rows, { schema: columns })).batch
      }
      let taken = 0
      let result = await client.send(await random(taken))
      while (result.success) {
        taken += result.totalRows
        result = await client.send(await random(taken))
      }
      assert.ok(taken > 0)
      assert.deepEqual([result.error?.code, result.failedCount, result.spooled], ['DISK_FULL', 4000, false])
      assert.equal(result.error?.retryable, true)
      // What is smaller fits behind it, and is in order.
      const small = await client.send(await batchOf(taken, 10))
      if (small.success) taken += 10
      assert.equal(client.stats().rowsFailed, small.success ? 4000 : 4010)
      server.away = false
      await client.flush()
      assert.deepEqual(idsOf(server), range(taken))
      // What arrived gave its room back.
      assert.equal((await client.send(await random(taken))).success, true)
      await client.flush()
      assert.deepEqual(idsOf(server), range(taken + 4000))
      await client.close()
    } finally {
      spawnSync('umount', ['--lazy', disk])
    }
  })

  it('puts what Zerobus refuses beside it, with the reason', async () => {
    const server = await start({ reject: (rows) => rows.some(({ id }) => Number(id) === 14) })
    const path = folder()
    const client = await open(server, { spool: { folder: path } })
    for (const number of range(3)) await client.send(await batchOf(number * 10, 10))
    await client.flush()
    assert.deepEqual(
      [...new Set(idsOf(server))].sort((a, b) => a - b),
      range(30).filter((id) => id !== 14),
    )
    assert.deepEqual(sentAgain(server), [])
    const files = readdirSync(join(path, 'rejected')).sort()
    assert.deepEqual(files, ['1-4.arrow', '1-4.json'])
    const aside = await Batch.fromIPC(readFileSync(join(path, 'rejected', '1-4.arrow')))
    assert.deepEqual(
      (await aside.toRows()).map(({ id }) => Number(id)),
      [14],
    )
    const reasons = JSON.parse(readFileSync(join(path, 'rejected', '1-4.json'), 'utf8'))
    assert.deepEqual(
      reasons.map(({ first, count, code }: Record<string, unknown>) => [first, count, code]),
      [[0, 1, 'REFUSED']],
    )
    const { rowsAside, rowsFailed } = client.stats()
    assert.deepEqual([rowsAside, rowsFailed], [1, 1])
  })

  for (const end of ['closed', 'killed']) {
    it(`does not send again what arrived while an older batch did not, where it is ${end}`, async () => {
      let [shut, troubled] = [true, false]
      const server = await start({
        heard: (rows) => {
          troubled = shut && Number(rows[0]?.id) < 10
        },
        fault: () => (troubled ? { kind: 'status', code: status.UNAVAILABLE } : undefined),
      })
      const [path, copy] = [folder(), folder()]
      const first = await open(server, { spool: { folder: path }, retry: { ...quick, maxAttempts: 1 } })
      for (const number of range(4)) await first.send(await batchOf(number * 10, 10))
      while (first.stats().spooled > 1) await passed(1)
      // What a process that is killed now would leave.
      cpSync(path, copy, { recursive: true })
      await first.close()
      shut = false
      const second = await open(server, { spool: { folder: end === 'closed' ? path : copy } })
      await second.flush()
      assert.deepEqual(idsOf(server), [...range(30, 10), ...range(10)])
    })
  }

  it('loses nothing that was taken when its process is killed', async function () {
    this.timeout(60_000)
    const server = await start({ ackDelayMs: 2 })
    const path = folder()
    const script = join(folder(), 'child.ts')
    const library = join(__dirname, '../../nodes/arrow/lib')
    writeFileSync(
      script,
      `import { Batch, ZerobusClient } from ${JSON.stringify(library)}
      void (async () => {
        const { config, columns, first } = JSON.parse(process.argv[2] ?? '')
        const client = await ZerobusClient.open(config)
        for (let id = first; ; id += 10) {
          const rows = Array.from({ length: 10 }, (_, place) => ({ id: id + place, value: 0 }))
          const { batch } = await Batch.fromRows(rows, { schema: columns })
          const { success } = await client.send(batch)
          if (success) console.log(id + 10)
        }
      })()`,
    )
    let taken = 0
    for (const life of range(4)) {
      const config = { ...server.config(table), retry: quick, spool: { folder: path } }
      const argument = JSON.stringify({ config, columns, first: taken })
      const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, argument], {
        cwd: join(__dirname, '../..'),
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [before, enough] = [taken, 15 + 10 * life]
      if (child.stdout) {
        for await (const line of createInterface(child.stdout)) {
          taken = Number(line)
          if (taken >= before + 10 * enough) child.kill('SIGKILL')
        }
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      assert.equal(child.signalCode, 'SIGKILL')
    }
    const heir = await open(server, { spool: { folder: path } })
    await heir.flush()
    const kept = new Set(idsOf(server))
    assert.deepEqual(
      range(taken).filter((id) => !kept.has(id)),
      [],
    )
  })
})
