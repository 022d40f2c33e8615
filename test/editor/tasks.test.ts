import assert from 'node:assert/strict'
import { flowOf } from './flows'
import { editorSuite } from './suite'

declare const RED: { editor: { editConfig(name: string, type: string, id: string): void } }

editorSuite('tasks', {}, (editor) => {
  const page = () => editor().page
  before(() =>
    editor().load([
      { id: 'broker', type: 'millrace-tasks-broker', path: 'editor' },
      ...flowOf({
        work: { type: 'millrace-tasks-worker', broker: 'broker', queues: 'slow', wires: [[], []] },
        send: { type: 'millrace-tasks-send', broker: 'broker', task: 'add', wires: [[]] },
        done: { type: 'millrace-tasks-done', wires: [[]] },
      }),
    ]),
  )

  it('the test of a broker lists its queues and workers', async () => {
    await page().evaluate(() => RED.editor.editConfig('', 'millrace-tasks-broker', 'broker'))
    const found = page().locator('#millrace-tasks-found')
    // The worker may still be opening.
    do {
      await page().locator('#millrace-tasks-test').click()
      await page().locator('#millrace-tasks-test:enabled').waitFor()
    } while (!/\n {2}work: 0/.test((await found.textContent()) ?? ''))
    await page().locator('#node-config-dialog-cancel').click()
    await found.waitFor({ state: 'detached' })
  })

  it('a done node asks for a wait only where it retries', async () => {
    await editor().edit('done')
    const delay = page().locator('.millrace-tasks-delay')
    assert.equal(await delay.isVisible(), false)
    await page().locator('#node-input-outcome').selectOption('retry')
    assert.equal(await delay.isVisible(), true)
    await page().locator('#node-dialog-cancel').click()
  })

  for (const id of ['send', 'work']) {
    it(`opens and saves: ${id}`, async () => {
      await editor().edit(id)
      await page().locator('#node-dialog-ok').click()
      await editor().dialog.waitFor({ state: 'detached' })
    })
  }
})
