import assert from 'node:assert/strict'
import { flowOf } from './flows'
import { editorSuite } from './suite'

const bag = { type: 'millrace-ros2-bag', path: 'millrace:camera-lidar-imu.mcap', start: 'message' }

editorSuite('bag', {}, (editor) => {
  const row = (name: string) => editor().page.locator(`#node-input-${name}`)
  const context = { id: 'ctx', type: 'millrace-ros2-context', domain: '75', discovery: 'localhost' }
  before(() => editor().load([context, ...flowOf({ plays: bag })]))

  it('takes own types from no context where none was saved, and keeps the one that is chosen', async () => {
    await editor().edit('plays')
    assert.equal(await row('context').inputValue(), '_ADD_')
    await row('context').selectOption('ctx')
    await editor().save()
    assert.deepEqual(await editor().properties('plays', 'context'), { context: 'ctx' })
  })

  it('shows what its mode needs', async () => {
    await editor().edit('plays')
    assert.deepEqual([await row('speed').isVisible(), await row('compression').isVisible()], [true, false])
    await row('mode').selectOption('record')
    assert.deepEqual([await row('speed').isVisible(), await row('compression').isVisible()], [false, true])
    await row('mode').selectOption('play')
  })

  it('offers the topics of the recording, one after the other', async () => {
    const offers = editor().page.locator('.red-ui-autoComplete-container:visible a')
    await row('topics').pressSequentially('/sc')
    await offers.first().waitFor()
    assert.deepEqual(await offers.allTextContents(), ['/scan'])
    await row('topics').fill('/scan, ')
    await row('topics').press('/')
    await offers.first().waitFor()
    assert.deepEqual(await offers.allTextContents(), ['/camera/image', '/imu'])
    if (process.env.BAG_PICTURES) await editor().page.screenshot({ path: process.env.BAG_PICTURES })
  })
})
