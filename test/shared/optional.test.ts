import assert from 'node:assert/strict'
import { optional, optionalPath } from '../../nodes/shared/optional'

describe('optional packages', () => {
  it('are loaded when they are there', () => {
    assert.equal(optional<typeof import('node:path')>('node:path', 'paths').sep, require('node:path').sep)
  })

  it('are found where they lie', () => {
    assert.equal(optionalPath('mocha', 'tests'), require.resolve('mocha'))
  })

  it('are missed by name, with the way out', () => {
    const missing = { code: 'PACKAGE_MISSING', message: /@nobody\/has-this.*of nothing.*npm install @nobody\/has-this/ }
    assert.throws(() => optional('@nobody/has-this', 'nodes of nothing'), missing)
    assert.throws(() => optionalPath('@nobody/has-this', 'nodes of nothing'), missing)
  })
})
