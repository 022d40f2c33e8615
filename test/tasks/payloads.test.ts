import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PayloadFolder } from '../../nodes/tasks/lib/payload-folder'

describe('Buffers of arguments beside an embedded queue', () => {
  const path = mkdtempSync(join(tmpdir(), 'millrace-payloads-'))
  const folder = new PayloadFolder(path)
  after(() => {
    folder.close()
    rmSync(path, { recursive: true, force: true })
  })

  it('are there until their time is over, and deleted when the queue is opened', async () => {
    await folder.put('kept', Buffer.from('a'), 60_000)
    await folder.put('late', Buffer.from('b'), 60_000)
    assert.deepEqual(await folder.get('kept'), Buffer.from('a'))
    assert.equal(await folder.get('none'), undefined)
    utimesSync(join(path, 'payloads/late'), new Date(0), new Date(0))
    assert.equal(await folder.get('late'), undefined)
    // One is being written, of the other nobody knows any more.
    writeFileSync(join(path, 'payloads/young.new'), '')
    writeFileSync(join(path, 'payloads/old.new'), '')
    utimesSync(join(path, 'payloads/old.new'), new Date(0), new Date(0))
    await folder.open()
    const left = ['kept', 'late', 'young.new', 'old.new'].map((name) => existsSync(join(path, 'payloads', name)))
    assert.deepEqual(left, [true, false, true, false])
    await folder.drop(['kept', 'none'])
    assert.equal(await folder.get('kept'), undefined)
  })

  it('a disk that cannot take them is told', async () => {
    mkdirSync(join(path, 'other'))
    writeFileSync(join(path, 'other/payloads'), 'a file')
    const broken = new PayloadFolder(join(path, 'other'))
    await assert.rejects(broken.put('a', Buffer.from('a'), 1), { code: 'STORE_FAILED' })
    await assert.rejects(broken.get('a'), { code: 'STORE_FAILED' })
  })
})
