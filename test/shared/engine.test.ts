import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { native } from '../../nodes/shared/native'
import { ask, run, stop } from './section'

const MB = 1 << 20

describe('millrace-shared-engine', () => {
  afterEach(() => stop())

  it('tells the version, and what the engines hold in memory', async () => {
    const held = () => native().engineMemory()
    const before = held()
    const index = await native().VectorIndex.open(JSON.stringify({ dimensions: 256 }))
    const rows = 8 * 1024
    await index.put(
      Uint32Array.from({ length: rows }, (_, n) => n),
      new Float32Array(rows * 256).fill(1),
      1,
    )
    assert.ok(held() - before > 4 * MB, `${before} then ${held()}`)
    await run([], {})
    const { engine, problem, script, resident } = await ask('engine')
    assert.deepEqual([engine.version, problem], [native().engineVersion(), null])
    assert.ok(engine.bytes > MB && engine.bytes < resident && script < resident)
  })

  /** What a process of its own tells, which loads no binary, or finds none. */
  function told(code: string): { engine: unknown; problem: string | null; resident: number } {
    const listing = join(__dirname, '../../nodes/shared/listing')
    const script = `${code}; console.log(JSON.stringify(require(${JSON.stringify(listing)}).figures()))`
    const options = { encoding: 'utf8', cwd: join(__dirname, '../..') } as const
    return JSON.parse(execFileSync(process.execPath, ['--require', 'tsx/cjs', '-e', script], options))
  }

  it('does not load what nothing has needed', () => {
    const { engine, problem, resident } = told('')
    assert.deepEqual([engine, problem], [null, null])
    assert.ok(resident > MB)
  })

  it('says why there are none', () => {
    const file = join(__dirname, '../../nodes/shared/native')
    const { engine, problem } = told(`
      const Module = require('node:module')
      const { _load: load } = Module
      Module._load = (name, ...rest) => {
        if (name === '#native') throw new Error('none fits')
        return load.call(Module, name, ...rest)
      }
      try { require(${JSON.stringify(file)}).native() } catch {}`)
    assert.equal(engine, null)
    assert.match(problem ?? '', /none fits/)
  })
})
