import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Locator } from 'playwright-core'
import { examples, type Json, moduleName, readJson, root } from '../runtime/harness'
import type { ZerobusServer } from '../zerobus/server'
import { standIn } from '../zerobus/stand-in'
import { soon } from './editor'
import { flowOf } from './flows'
import { editorSuite } from './suite'

editorSuite('examples', {}, (editor) => {
  const dialog = () => editor().page.locator('.ui-dialog:has(#red-ui-clipboard-dialog):visible')
  const entries = () => dialog().locator('.red-ui-treeList-label:visible')

  const entry = (name: string) => entries().filter({ hasText: new RegExp(`^\\s*${name}\\s*$`) })

  /** Opens a folder of the list, or chooses an example, by its name. The list moves, and a click may miss. */
  async function choose(name: string, next: Locator): Promise<void> {
    do await entry(name).click()
    while (!(await soon(next.waitFor({ timeout: 2000 }))))
  }

  /** Node-RED chooses the first entry itself, a moment later. */
  async function shown(): Promise<void> {
    await dialog().locator('.red-ui-treeList-label.selected:visible').waitFor()
  }

  let zerobus: ZerobusServer | undefined
  before(async () => {
    zerobus = await standIn()
    await editor().load(flowOf({ only: { topics: [] } }))
  })
  after(() => zerobus?.stop())

  const flowOfExample = (example: string) => readJson(join(root, `examples/${example}.json`)) as unknown as Json[]
  const ours = (example: string) =>
    flowOfExample(example)
      // Config nodes have no picture, and no wires; what needs a server is disabled.
      .filter(({ type, wires, d }) => String(type).startsWith('millrace-') && wires && !d)
      .map(({ id }) => String(id))

  for (const example of examples) {
    it(`${example} is imported`, async () => {
      await editor().act('core:show-examples-import-dialog')
      await shown()
      const path = [moduleName, ...example.split('/')]
      const ok = dialog().locator('#red-ui-clipboard-dialog-ok:enabled')
      for (const [depth, name] of path.entries()) {
        const next = path[depth + 1]
        await choose(name, next === undefined ? ok : entry(next))
      }
      await ok.click()
      await dialog().waitFor({ state: 'hidden' })
      assert.ok(ours(example).length > 0)
      for (const id of ours(example)) await editor().until(id, 'valid', true)
    })
  }

  it('all of them are deployed', async () => {
    await editor().deploy()
    const deployed = new Set((await editor().flows()).map(({ id }) => id))
    assert.deepEqual(
      examples.flatMap(ours).filter((id) => !deployed.has(id)),
      [],
    )
    assert.equal(await editor().page.locator('.red-ui-notification-error').count(), 0)
  })

  for (const example of examples) {
    it(`${example} turns green, and shows its counts`, async () => {
      for (const id of ours(example)) {
        await editor().show(String(flowOfExample(example).find((node) => node.id === id)?.z))
        await editor().picture(id).locator('.red-ui-flow-node-status-dot-green').waitFor({ timeout: 30_000 })
        const status = await editor().picture(id).locator('.red-ui-flow-node-status-label').textContent()
        assert.match(status ?? '', /\d/)
      }
    })
  }
})
