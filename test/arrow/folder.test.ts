import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { NodeAPI } from 'node-red'
import { folderBelow } from '../../nodes/arrow/folder'
import { temporary } from './rig'

const rounds = 100

describe('folders below the user directory', () => {
  let outside: string
  let userDir: string
  const below = (folder: string, ...made: string[]) =>
    folderBelow({ settings: { userDir } } as unknown as NodeAPI, folder, ...made)
  const refused = (folder: string, ...made: string[]) =>
    assert.throws(() => below(folder, ...made), { code: 'INVALID_OPTION' })

  beforeEach(() => {
    outside = temporary()
    userDir = temporary()
    mkdirSync(join(userDir, 'real'))
    symlinkSync(outside, join(userDir, 'out'))
    symlinkSync(join(userDir, 'real'), join(userDir, 'in'))
    symlinkSync(join(outside, 'nothing'), join(userDir, 'dangling'))
    symlinkSync('/', join(userDir, 'root'))
  })
  afterEach(() => {
    for (const path of [outside, userDir]) rmSync(path, { recursive: true, force: true })
  })

  it('may be there or not, and may be reached by links that stay in it', () => {
    for (const folder of ['real', 'new', 'new/er', 'in', 'in/new']) assert.equal(below(folder), join(userDir, folder))
    const linked = join(outside, 'link')
    symlinkSync(userDir, linked)
    userDir = linked
    assert.equal(below('real'), join(linked, 'real'))
    userDir = join(outside, 'not/yet')
    assert.equal(below('new'), join(userDir, 'new'))
  })

  it('are not reached by links that lead out, however deep the link lies', () => {
    for (const folder of ['out', 'out/new', 'out/new/er', 'dangling', 'dangling/new', 'root/tmp']) refused(folder)
    symlinkSync(outside, join(userDir, 'real', 'rejected'))
    refused('real', 'rejected')
    refused('in', 'arrow', 'rejected')
    assert.equal(below('real', 'arrow'), join(userDir, 'real'))
    symlinkSync('loop', join(userDir, 'loop'))
    refused('loop')
    assert.deepEqual(readdirSync(outside), [])
  })

  it('may be made by another node at this moment', async () => {
    const asked = new Int32Array(new SharedArrayBuffer(8))
    const making = `
      const { mkdirSync } = require('node:fs')
      const { asked, folder } = require('node:worker_threads').workerData
      Atomics.store(asked, 1, 1)
      for (let made = 0; made < ${rounds}; made += 1) {
        while (Atomics.load(asked, 0) === made);
        mkdirSync(folder + made)
      }`
    const worker = new Worker(making, { eval: true, workerData: { asked, folder: join(userDir, 'made-') } })
    try {
      while (Atomics.load(asked, 1) === 0) await new Promise(setImmediate)
      for (let round = 0; round < rounds; round += 1) {
        Atomics.store(asked, 0, round + 1)
        below(`made-${round}`)
        while (!existsSync(join(userDir, `made-${round}`)));
      }
    } finally {
      await worker.terminate()
    }
  })
})
