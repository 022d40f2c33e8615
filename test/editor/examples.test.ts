import assert from 'node:assert/strict'
import { join } from 'node:path'
import { examples, type Json, moduleName, readJson, root } from '../runtime/harness'
import { flowOf } from './flows'
import { editorSuite } from './suite'

editorSuite('examples', {}, (editor) => {
  const dialog = () => editor().page.locator('.ui-dialog:has(#red-ui-clipboard-dialog):visible')
  const entries = () => dialog().locator('.red-ui-treeList-label:visible')

  /** Opens a folder of the list, or chooses an example, by its name. */
  const choose = (name: string) =>
    entries()
      .filter({ hasText: new RegExp(`^\\s*${name}\\s*$`) })
      .click()

  /** Node-RED chooses the first entry itself, a moment later. */
  async function shown(): Promise<void> {
    await dialog().locator('.red-ui-treeList-label.selected:visible').waitFor()
  }

  before(() => editor().load(flowOf({ only: { topics: [] } })))

  it('are opened by the link in the dialog', async () => {
    await editor().edit('only')
    await editor().page.locator('.millrace-examples').click()
    await shown()
    assert.equal(await editor().dialog.count(), 0)
    await dialog().locator('#red-ui-clipboard-dialog-cancel').click()
    await dialog().waitFor({ state: 'hidden' })
  })

  const flowOfExample = (example: string) => readJson(join(root, `examples/${example}.json`)) as unknown as Json[]
  const ours = (example: string) =>
    flowOfExample(example)
      // Config nodes have no picture, and no wires.
      .filter(({ type, wires }) => String(type).startsWith('millrace-') && wires)
      .map(({ id }) => String(id))

  for (const example of examples) {
    it(`${example} is imported`, async () => {
      await editor().act('core:show-examples-import-dialog')
      await shown()
      for (const name of [moduleName, ...example.split('/')]) await choose(name)
      await dialog().locator('#red-ui-clipboard-dialog-ok').click()
      await dialog().waitFor({ state: 'hidden' })
      assert.ok(ours(example).length > 0)
      for (const id of ours(example)) await editor().until(id, 'valid', true)
    })
  }

  it('all of them are deployed', async () => {
    await editor().deploy()
    for (const id of examples.flatMap(ours)) assert.ok(await editor().saved(id))
    assert.equal(await editor().page.locator('.red-ui-notification-error').count(), 0)
  })

  for (const example of examples) {
    it(`${example} turns green, and shows its counts`, async () => {
      await editor().show(String(flowOfExample(example).find(({ type }) => type === 'tab')?.id))
      for (const id of ours(example)) {
        await editor().picture(id).locator('.red-ui-flow-node-status-dot-green').waitFor({ timeout: 10_000 })
        const status = await editor().picture(id).locator('.red-ui-flow-node-status-label').textContent()
        assert.match(
          status ?? '',
          /^\d+ groups, \d+ out$|^\d+\/s \w+$|^\d+ sent, 1 hear$|^\d+ rows, \d+ (batches|files)$|^\d+ rows( read)?$/,
        )
      }
    })
  }
})
