import assert from 'node:assert/strict'
import { EngineError } from '../../nodes/shared/errors'
import { ask, fail, nodeOf, run, stop } from './section'

describe('millrace-shared-failures', () => {
  afterEach(() => stop())

  /** Those of this test's nodes: the list outlives them. */
  const of = async (...ids: string[]) => (await ask('failures')).filter(({ id }: { id: string }) => ids.includes(id))

  it('tells which node failed, how, and when, newest first', async () => {
    const begun = Date.now()
    await run(['f1', 'f2'], {
      input: (id) => {
        throw id === 'f1' ? new EngineError('DISK_FULL', 'the disk is full') : new TypeError('odd')
      },
    })
    await fail('f1')
    await fail('f2')
    const [newest, oldest] = await of('f1', 'f2')
    assert.deepEqual([newest.id, newest.code], ['f2', 'INTERNAL'])
    const { at, ...rest } = oldest
    const names = { id: 'f1', shown: 'f1', type: 'sample', name: 'F1' }
    assert.deepEqual(rest, { ...names, code: 'DISK_FULL', message: 'the disk is full', count: 1 })
    assert.ok(at >= begun && at <= Date.now())
  })

  it('what fails again and again takes one place; a list without end there is not', async () => {
    let n = 0
    await run(['f3'], {
      input: (_, message) => {
        throw new EngineError('LATE', message.payload ? 'same' : `other ${n++}`)
      },
    })
    for (let round = 0; round < 3; round += 1) await fail('f3', { payload: true })
    assert.deepEqual(
      (await of('f3')).map(({ message, count }: { message: string; count: number }) => [message, count]),
      [['same', 3]],
    )
    for (let round = 0; round < 60; round += 1) await fail('f3')
    const all = await ask('failures')
    assert.equal(all.length, 50)
    assert.equal(all[0].message, 'other 59')
  })

  it('hears what a node says by itself, and that it could not open; the log has it as before', async () => {
    await run(['f4'], {
      open: () => {
        throw new EngineError('INVALID_OPTION', 'x'.repeat(1000))
      },
    })
    assert.deepEqual(
      (await of('f4')).map(({ code, message }: { code: string; message: string }) => [code, message.length]),
      [['INVALID_OPTION', 500]],
    )
    nodeOf('f4').error('just text')
    assert.deepEqual((await of('f4'))[0].code, '')
  })

  it('of a node in a subflow names the one that is drawn', async () => {
    await run(['f5'], {})
    Object.assign(nodeOf('f5'), { _alias: 'drawn' })
    nodeOf('f5').error(new EngineError('CLOSED', 'closed'))
    assert.equal((await of('f5'))[0].shown, 'drawn')
  })
})
