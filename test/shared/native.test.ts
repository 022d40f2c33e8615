import assert from 'node:assert/strict'
import Module from 'node:module'

type Loader = { _load(name: string, ...rest: unknown[]): unknown }

describe('the loader of the binary', () => {
  const loader = Module as unknown as Loader
  const load = loader._load
  const file = require.resolve('../../nodes/shared/native')
  const cached = require.cache[file]

  afterEach(() => {
    loader._load = load
    require.cache[file] = cached
  })

  it('says once and for all that it does not load, with the platform and the way out', () => {
    let tries = 0
    loader._load = (name, ...rest) => {
      if (name !== '#native') return load.call(Module, name, ...rest)
      tries += 1
      throw new Error('Cannot find native binding.\nwith many more lines')
    }
    delete require.cache[file]
    const { native } = require(file) as typeof import('../../nodes/shared/native')
    const code = { code: 'NATIVE_MISSING', retryable: false }
    const message = new RegExp(`${process.platform}-${process.arch}.*Cannot find native binding\\.; install`)
    assert.throws(() => native(), { ...code, message })
    assert.throws(() => native(), code)
    assert.equal(tries, 1)
  })
})
