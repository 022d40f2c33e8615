import { strictEqual } from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Folder } from './folder'

const program = join(__dirname, 'full.ts')
/** A limit for files, as a full disk has; Linux alone can take it away again. */
const LIMITED = `trap '' XFSZ; ulimit -S -f 3000; exec "$0" --import tsx "$@"`

describe('a queue whose disk was full', () => {
  const folder = new Folder()
  after(() => folder.remove())

  it('goes on by itself when there is room again, with all that it accepted', async function () {
    if (process.platform !== 'linux') this.skip()
    this.timeout(120_000)
    // The store's own files are there before, as they are on a disk that fills up.
    await (await folder.connect()).close()
    const child = spawn('bash', ['-c', LIMITED, process.execPath, program, folder.path], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const [full] = await once(child, 'message')
    strictEqual(full.code, 'DISK_FULL')
    execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited'])
    child.send('room')
    const [after] = await once(child, 'message')
    strictEqual(after.right, after.accepted)
    await once(child, 'exit')
    strictEqual(child.exitCode, 0)
  })
})
