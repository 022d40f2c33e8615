import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { arrow } from '../../nodes'
import { type Json, Rig, temporary } from './rig'

const schema = [{ name: 'n', type: 'int32' }]
const ipc = async (...numbers: number[]) =>
  (
    await arrow.Batch.from(
      numbers.map((n) => ({ n })),
      { schema },
    )
  ).toIPC()
const writeOf = (more: Json = {}): Json => ({ type: 'millrace-arrow-file', prefix: 't', ...more })
const readOf = (more: Json = {}): Json => ({ type: 'millrace-arrow-file', action: 'read', ...more })
const numbersIn = (file: string) =>
  tableFromIPC(readFileSync(file))
    .toArray()
    .map((row) => row?.n)
/** Files that are complete; locks and parts begin with a dot. */
const filesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()

describe('millrace-arrow-file', () => {
  let rig: Rig
  afterEach(() => rig.remove())

  it('writes a file, tells of it when it is complete, and others read it', async () => {
    rig = await Rig.start(writeOf())
    rig.send({ _msgid: 'a', payload: await ipc(1, 2) })
    await rig.until('completed')
    assert.deepEqual(filesIn(join(rig.userDir, 'arrow')), [])
    rig.send({ _msgid: 'b', topic: 't', payload: await ipc(3), flush: true })
    const [message] = await rig.until('out')
    assert.deepEqual([message._msgid, message.topic, message.arrow.rows], ['b', 't', 3])
    assert.equal(message.payload, message.filename)
    assert.deepEqual(filesIn(join(rig.userDir, 'arrow')), [basename(message.filename)])
    assert.deepEqual(numbersIn(message.filename), [1, 2, 3])
  })

  it('completes a file by size and by age, and keeps so many', async () => {
    rig = await Rig.start(writeOf({ maxMb: 0.0001, keep: 2, folder: 'deep/er' }))
    for (const n of [1, 2, 3]) rig.send({ payload: await ipc(n) })
    const files = (await rig.until('out', 3)).map(({ filename }) => basename(filename))
    assert.deepEqual(filesIn(join(rig.userDir, 'deep/er')), files.slice(1))
    await rig.remove()
    rig = await Rig.start(writeOf({ maxAgeS: 0.02 }))
    rig.send({ payload: await ipc(4) })
    const [message] = await rig.until('out')
    assert.deepEqual(numbersIn(message.filename), [4])
  })

  it('completes the file when it stops, and tells of it when it is there again, once', async () => {
    rig = await Rig.start(writeOf())
    rig.send({ payload: await ipc(7) }, { payload: await ipc(8) })
    await rig.stop()
    const { userDir } = rig
    const folder = join(userDir, 'arrow')
    const [file = ''] = filesIn(folder)
    assert.deepEqual(numbersIn(join(folder, file)), [7, 8])
    rig = await Rig.start(writeOf(), { userDir })
    const [message] = await rig.until('out')
    assert.deepEqual([message.filename, message.arrow.rows], [join(folder, file), 2])
    await rig.stop()
    rig = await Rig.start(writeOf(), { userDir })
    rig.send({ payload: await ipc(9), flush: true })
    const [next] = await rig.until('out')
    assert.deepEqual(numbersIn(next.filename), [9])
    // A file that went meanwhile is none.
    rig.send({ payload: await ipc(10) })
    await rig.until('completed', 2)
    await rig.stop()
    for (const name of filesIn(folder)) rmSync(join(folder, name))
    rig = await Rig.start(writeOf(), { userDir })
    rig.send({ payload: await ipc(11), flush: true })
    assert.deepEqual(numbersIn((await rig.until('out'))[0].filename), [11])
  })

  it('a second writer of the same files is told', async () => {
    const userDir = temporary()
    const other = await arrow.FileWriter.open({ folder: join(userDir, 'arrow'), prefix: 't', maxBytes: 1 })
    rig = await Rig.start(writeOf(), { userDir })
    assert.match((await rig.until('error'))[0], /another/)
    rig.send({ payload: await ipc(1) })
    assert.equal((await rig.until('caught'))[0].error.code, 'STORE_LOCKED')
    await other.close()
  })

  for (const folder of ['..', '../beside', '/tmp', 'a/../../b', '.']) {
    it(`the folder ${folder} is refused`, async () => {
      rig = await Rig.start(writeOf({ folder }))
      rig.send({ payload: await ipc(1) })
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    })
  }

  for (const payload of ['text', 5, null]) {
    it(`refuses to write ${payload}`, async () => {
      rig = await Rig.start(writeOf())
      rig.send({ payload }, { payload: Buffer.from('no arrow') })
      const codes = (await rig.until('caught', 2)).map(({ error }) => error.code)
      assert.deepEqual(codes, ['INVALID_INPUT', 'INVALID_INPUT'])
    })
  }

  it('reads a file by name and by path', async () => {
    const userDir = temporary()
    mkdirSync(join(userDir, 'arrow'))
    const file = join(userDir, 'arrow', 'x.arrow')
    writeFileSync(file, await ipc(5, 6))
    rig = await Rig.start(readOf(), { userDir })
    rig.send({ _msgid: 'a', payload: 'x.arrow' }, { payload: {}, filename: file })
    for (const message of await rig.until('out', 2)) {
      assert.deepEqual(message.payload, readFileSync(file))
      assert.deepEqual([message.filename, message.arrow.rows], [file, 2])
    }
  })

  it('reads nothing that lies elsewhere, links included', async () => {
    const userDir = temporary()
    mkdirSync(join(userDir, 'arrow/sub'), { recursive: true })
    writeFileSync(join(userDir, 'secret.arrow'), await ipc(5))
    symlinkSync(join(userDir, 'secret.arrow'), join(userDir, 'arrow', 'link.arrow'))
    rig = await Rig.start(readOf(), { userDir })
    const names = [
      '../secret.arrow',
      join(userDir, 'secret.arrow'),
      'link.arrow',
      '.',
      'sub',
      '',
      'missing.arrow',
      'sub/../../secret.arrow',
    ]
    for (const payload of names) rig.send({ payload })
    const caught = await rig.until('caught', names.length)
    assert.ok(caught.every(({ error }) => error.code === 'INVALID_INPUT'))
    assert.deepEqual(rig.seen.out, [])
  })

  it('writes in the order of the calls, however long their rows take to be a batch, and closes behind them', async () => {
    rig = await Rig.start(writeOf())
    const folder = join(rig.userDir, 'direct')
    const writer = await arrow.FileWriter.open({ folder, prefix: 'k', maxBytes: 1e9 })
    const rows = Array.from({ length: 30_000 }, (_, n) => ({ n }))
    const last = await arrow.Batch.from([{ n: 30_000 }])
    const [, , files] = await Promise.all([writer.write(rows), writer.write(last), writer.close()])
    assert.deepEqual(
      files.map(({ rows }) => rows),
      [30_001],
    )
    const numbers = numbersIn(files[0]?.path ?? '')
    assert.deepEqual([numbers.length, numbers.findIndex((n, place) => n !== BigInt(place))], [30_001, -1])
  })

  it('keeps a part that is damaged, says so, and gives what is before the damage', async () => {
    const userDir = temporary()
    const folder = join(userDir, 'arrow')
    const script = `
      const { arrow } = require(${JSON.stringify(join(__dirname, '../../nodes/index.ts'))})
      const main = async () => {
        const writer = await arrow.FileWriter.open({ folder: ${JSON.stringify(folder)}, prefix: 't', maxBytes: 1e9 })
        for (const n of [1, 2, 3]) await writer.write([{ n }])
        process.kill(process.pid, 'SIGKILL')
      }
      main()`
    await once(spawn(process.execPath, ['--import', 'tsx', '-e', script], { cwd: join(__dirname, '../..') }), 'exit')
    const [part = ''] = readdirSync(folder).filter((name) => name.endsWith('.part'))
    const bytes = readFileSync(join(folder, part))
    // Into the head of the last batch's message.
    bytes.fill(0xa5, bytes.lastIndexOf(Buffer.from([255, 255, 255, 255])) + 16, bytes.length - 8)
    writeFileSync(join(folder, part), bytes)
    rig = await Rig.start(writeOf(), { userDir })
    const [{ filename }] = await rig.until('out')
    assert.deepEqual(numbersIn(filename), [1n, 2n])
    const [name = ''] = filesIn(folder).filter((file) => file.endsWith('.damaged'))
    assert.deepEqual(readFileSync(join(folder, name)), bytes)
    assert.match((await rig.until('warn'))[0], /warning\.damaged/)
  })

  it('nothing half done stands under a final name after kill -9, and what was written is there', async () => {
    const folder = temporary()
    const script = `
      const { arrow } = require(${JSON.stringify(join(__dirname, '../../nodes/index.ts'))})
      const main = async () => {
        const writer = await arrow.FileWriter.open({ folder: ${JSON.stringify(folder)}, prefix: 'k', maxBytes: 6000 })
        for (let n = 0; ; n += 1) {
          await writer.write([{ n }])
          process.stdout.write(n + '\\n')
        }
      }
      main()`
    for (let round = 0; round < 3; round += 1) {
      const child = spawn(process.execPath, ['--import', 'tsx', '-e', script], { cwd: join(__dirname, '../..') })
      let said = ''
      child.stdout.on('data', (data) => {
        said += data
        if (said.split('\n').length > 40 + 17 * round) child.kill('SIGKILL')
      })
      await once(child, 'exit')
      await new Promise((resolve) => (child.stdout.destroyed ? resolve(null) : child.stdout.once('close', resolve)))
      // The last line may be cut.
      const written = said.split('\n').length - 1
      const whole = filesIn(folder).flatMap((file) => numbersIn(join(folder, file)))
      const writer = await arrow.FileWriter.open({ folder, prefix: 'k', maxBytes: 1e9 })
      await writer.close()
      const all = filesIn(folder).flatMap((file) => numbersIn(join(folder, file)))
      assert.ok(all.length >= written && all.length >= whole.length, `${all.length} of ${written}`)
      assert.deepEqual(
        all,
        all.map((_, n) => BigInt(n)),
      )
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.endsWith('.part')),
        [],
      )
      for (const file of filesIn(folder)) rmSync(join(folder, file))
    }
    rmSync(folder, { recursive: true })
    rig = await Rig.start(writeOf())
  }).timeout(60_000)
})
