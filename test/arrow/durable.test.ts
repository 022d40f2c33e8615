/** What the spool says is on the disk has been brought there: a library before libc's writes down what is synced. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporary } from './rig'

const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int synced(const char *name, int fd) {
  struct stat before;
  int known = fstat(fd, &before) == 0;
  int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
  int result = real(fd);
  char link[64], path[4096], line[4200];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = readlink(link, path, sizeof path - 1);
  int log = open(getenv("SYNCED"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (result == 0 && known && length > 0 && log >= 0) {
    path[length] = 0;
    int size = snprintf(line, sizeof line, "%ld %s\\n", (long) before.st_size, path);
    if (write(log, line, size) != size) abort();
  }
  if (log >= 0) close(log);
  return result;
}
int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
`

/** Appends one after the other; tells how large the segment was each time, and what was synced by then. */
const CHILD = `
const { readFileSync, readdirSync, statSync, existsSync } = require('node:fs')
const { join } = require('node:path')
const [binary, folder, log, options] = process.argv.slice(1)
const synced = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\\n') : [])
void (async () => {
  const spool = await require(binary).Spool.open(folder, options)
  const told = []
  for (let size = 1; size < 4000; size = size * 3) {
    await spool.append([Buffer.alloc(size, 7)])
    const [name] = readdirSync(folder).filter((it) => it.endsWith('.spool')).sort().slice(-1)
    const path = join(folder, name)
    told.push({ path, size: statSync(path).size, synced: synced() })
  }
  await spool.close()
  console.log(JSON.stringify({ told, atEnd: synced() }))
})()
`

interface Told {
  told: { path: string; size: number; synced: string[] }[]
  atEnd: string[]
}

describe('the spool and the disk', function () {
  this.timeout(60_000)
  let place: string
  let shim: string

  before(function () {
    place = temporary()
    shim = join(place, 'shim.so')
    writeFileSync(join(place, 'shim.c'), SHIM)
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-o', shim, join(place, 'shim.c'), '-ldl'], { stdio: 'pipe' })
    } catch {
      // Without a compiler, or where libraries are not loaded so.
    }
    if (process.platform !== 'linux' || !existsSync(shim)) this.skip()
  })
  after(() => rmSync(place, { recursive: true, force: true }))

  function run(options: object): Told {
    const [folder, log] = [temporary(), join(temporary(), 'log')]
    const native = join(__dirname, '../../native')
    const binary = join(native, readdirSync(native).find((name) => name.endsWith('.node')) ?? '')
    const env = { ...process.env, LD_PRELOAD: shim, SYNCED: log }
    const given = ['-e', CHILD, binary, folder, log, JSON.stringify(options)]
    const text = execFileSync(process.execPath, given, { env, encoding: 'utf8' })
    for (const path of [folder, join(log, '..')]) rmSync(path, { recursive: true, force: true })
    return JSON.parse(text) as Told
  }

  it('an append waits until all of its segment is on the disk, and its name', () => {
    const { told } = run({ syncMs: 0 })
    assert.equal(told.length, 8)
    for (const { path, size, synced } of told) {
      assert.ok(synced.includes(`${size} ${path}`), `${size} bytes of ${path} are not among ${synced}`)
      assert.ok(synced.some((line) => line.endsWith(` ${join(path, '..')}`)))
    }
  })

  it('it does not wait where a loss of power may take something, and then the end brings all there', () => {
    const { told, atEnd } = run({ syncMs: 60_000 })
    const { path, size } = told.at(-1) ?? { path: '', size: 0 }
    const ofSegment = (lines: string[]) => lines.filter((line) => line.endsWith(path))
    assert.deepEqual(ofSegment(told.at(-1)?.synced ?? ['none']), [])
    assert.deepEqual(ofSegment(atEnd), [`${size} ${path}`])
  })
})
