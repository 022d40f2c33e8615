import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toEngineError } from '../../nodes/shared/errors'
import { native } from '../../nodes/shared/native'

describe('the spool', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-spool-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const open = (options: object = {}) => native().Spool.open(folder, JSON.stringify(options))
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => assert.fail(),
      (error) => toEngineError(error).code,
    )

  it('keeps what it took until it is acknowledged, also over a restart', async () => {
    const first = await open()
    assert.equal(await first.append([Buffer.from('one'), Buffer.from('two')]), 0)
    assert.equal(await first.append([Buffer.from([0, 255])]), 2)
    await first.ack([0])
    await first.close()
    const second = await open({ syncMs: 50 })
    const records = await second.read(0, 1 << 20)
    assert.deepEqual(
      records.map(({ seq, data }) => [seq, data.toString('hex')]),
      [
        [1, '74776f'],
        [2, '00ff'],
      ],
    )
    const { records: count, oldestMs, bytes } = second.stats()
    assert.deepEqual([count, oldestMs, bytes > 0], [2, records[0]?.atMs, true])
    assert.equal((await second.read(0, 1)).length, 1)
    await second.close()
  })

  it('says what does not work', async () => {
    const spool = await open({ maxBytes: 1000 })
    assert.equal(await codeOf(open()), 'STORE_LOCKED')
    assert.equal(await codeOf(open({ size: 1 })), 'INVALID_OPTION')
    assert.equal(await codeOf(spool.append([Buffer.alloc(600)])), 'TOO_LARGE')
    await spool.append([Buffer.alloc(400)])
    await spool.append([Buffer.alloc(400)])
    assert.equal(await codeOf(spool.append([Buffer.alloc(400)])), 'BUFFER_FULL')
    await spool.close()
    assert.equal(await codeOf(spool.read(0, 1)), 'CLOSED')
    await spool.close()
    await (await open()).close()
  })
})
