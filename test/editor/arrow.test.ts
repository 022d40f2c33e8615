import assert from 'node:assert/strict'
import { flowOf } from './flows'
import { editorSuite } from './suite'

editorSuite('arrow', {}, (editor) => {
  const list = () => editor().page.locator('.millrace-list')
  const rows = () => list().locator('.millrace-row')
  const columnAt = (place: number) => rows().nth(place).locator('.millrace-arrow-column')
  const typeAt = (place: number) => rows().nth(place).locator('.millrace-arrow-type')
  const add = () => list().locator('.red-ui-editableList-addButton').click()
  const problem = () => list().locator('[role=alert]')
  const shown = (name: string) => editor().page.locator(`#node-input-${name}`).isVisible()

  before(() =>
    editor().load(
      flowOf({
        batch: { type: 'millrace-arrow-batch' },
        rows: { type: 'millrace-arrow-rows' },
        file: { type: 'millrace-arrow-file', wires: [[]] },
      }),
    ),
  )

  it('columns are added, offered their types, checked and saved', async () => {
    await editor().edit('batch')
    await add()
    await columnAt(0).fill('at')
    await typeAt(0).pressSequentially('timestamp(m')
    await editor().page.locator('.red-ui-autoComplete-container:visible a').first().click()
    assert.equal(await typeAt(0).inputValue(), 'timestamp(ms, UTC)')
    await add()
    await columnAt(1).fill('at')
    await typeAt(1).fill('int8')
    assert.equal(await problem().isVisible(), true)
    assert.equal(await columnAt(1).getAttribute('aria-invalid'), 'true')
    await columnAt(1).fill('n')
    assert.equal(await problem().isVisible(), false)
    await rows().nth(1).locator('[type=checkbox]').uncheck()
    await add()
    await list().locator('.red-ui-editableList-item-remove').nth(2).click()
    await rows().nth(2).waitFor({ state: 'detached' })
    await editor().save()
    await editor().deploy()
    assert.deepEqual((await editor().saved('batch'))?.columns, [
      { name: 'at', type: 'timestamp(ms, UTC)', nullable: true },
      { name: 'n', type: 'int8', nullable: false },
    ])
    await editor().edit('batch')
    assert.deepEqual([await columnAt(1).inputValue(), await typeAt(1).inputValue()], ['n', 'int8'])
    await editor().cancel()
  })

  it('the forms show what the chosen output and action need', async () => {
    await editor().edit('rows')
    assert.deepEqual([await shown('messages'), await shown('int64')], [true, true])
    await editor().field('output').selectOption('columns')
    assert.deepEqual([await shown('messages'), await shown('int64')], [false, true])
    await editor().field('output').selectOption('csv')
    assert.deepEqual([await shown('messages'), await shown('int64')], [true, false])
    await editor().cancel()
    await editor().edit('file')
    assert.equal(await shown('prefix'), true)
    await editor().field('action').selectOption('read')
    assert.deepEqual([await shown('prefix'), await shown('folder')], [false, true])
    await editor().cancel()
  })
})
