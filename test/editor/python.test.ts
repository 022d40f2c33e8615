import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { flowOf } from './flows'
import { editorSuite } from './suite'

interface CodeEditor {
  destroy(): void
}
declare const RED: { editor: { createEditor(options: { id: string }): CodeEditor } }
declare global {
  interface Window {
    /** Editors of code that were made and not destroyed. */
    alive: number
  }
}

const hasPython = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).status === 0
const node = { type: 'millrace-action-python', code: 'def on_alert(a):\n    return 1\n' }

editorSuite('action python', {}, (editor) => {
  const found = () => editor().page.locator('#millrace-action-found')
  const code = () => editor().page.locator('#millrace-python-code')
  const test = async () => {
    await editor().page.locator('#millrace-action-test').click()
    await editor().page.locator('#millrace-action-test:enabled').waitFor()
    return (await found().textContent()) ?? ''
  }
  const write = async (text: string) => {
    await code().locator('.ace_content').click()
    await editor().page.keyboard.press('Control+A')
    await editor().page.keyboard.insertText(text)
  }
  before(() => editor().load(flowOf({ script: node })))

  it('shows the code in colours, and saves what was written', async () => {
    await editor().edit('script')
    await code().locator('.ace_keyword', { hasText: 'def' }).waitFor()
    await write('x = 1\n')
    await editor().save()
    await editor().until('script', 'code', 'x = 1\n')
  })

  it('leaves no editor behind, however the dialog is left', async () => {
    await editor().page.evaluate(() => {
      const { createEditor } = RED.editor
      window.alive = 0
      RED.editor.createEditor = (options) => {
        const made = createEditor(options)
        if (options.id !== 'millrace-python-code') return made
        const destroy = made.destroy.bind(made)
        window.alive += 1
        made.destroy = () => {
          window.alive -= 1
          destroy()
        }
        return made
      }
    })
    const alive = () => editor().page.evaluate(() => window.alive)
    for (const leave of [() => editor().cancel(), () => editor().save()]) {
      await editor().edit('script')
      assert.equal(await alive(), 1)
      await leave()
      assert.equal(await alive(), 0)
    }
    await editor().edit('script')
    await write('y = 2\n')
    await editor().cancel()
    assert.deepEqual(await editor().properties('script', 'code'), { code: 'x = 1\n' })
  })

  it('Tab passes the code by; Enter leads into it, and Escape out', async () => {
    await editor().edit('script')
    const focused = () =>
      code().evaluate((box) => [box === document.activeElement, box.contains(document.activeElement)])
    await editor().page.locator('#node-input-script').focus()
    await editor().page.keyboard.press('Tab')
    assert.deepEqual(await focused(), [true, true])
    await editor().page.keyboard.press('Enter')
    assert.deepEqual(await focused(), [false, true])
    await editor().page.keyboard.press('Escape')
    assert.deepEqual(await focused(), [true, true])
    await editor().page.keyboard.press('Tab')
    assert.deepEqual(await focused(), [false, false])
    await editor().cancel()
  })

  it('lets retries be set with an outbox, too', async () => {
    await editor().edit('script')
    const visible = (name: string) => editor().field(name).isVisible()
    const summaries = editor().page.locator('.millrace-form summary:visible')
    for (const summary of await summaries.all()) await summary.click()
    assert.deepEqual(
      [await visible('retries'), await visible('whenFull'), await visible('outboxWhenFull')],
      [true, true, false],
    )
    await editor().field('durable').setChecked(true)
    assert.deepEqual(
      [await visible('retries'), await visible('whenFull'), await visible('outboxWhenFull')],
      [true, false, true],
    )
    await editor().cancel()
  })

  it('shows what the choices need', async () => {
    await editor().edit('script')
    const path = editor().page.locator('#node-input-scriptPath')
    assert.equal(await path.isVisible(), false)
    await editor().page.locator('#node-input-script').selectOption('file')
    assert.deepEqual([await path.isVisible(), await code().isVisible()], [true, false])
    await editor().page.locator('#node-input-mode').selectOption('pool')
    assert.equal(await editor().page.locator('#node-input-workers').isVisible(), true)
    await editor().cancel()
  })

  it('the test tries what is written, before it is saved: a wrong line is shown', async function () {
    if (!hasPython) {
      console.log('      SKIPPED: there is no python3')
      this.skip()
    }
    await editor().edit('script')
    await write('a = 1\nb = (\n')
    assert.match(await test(), /SyntaxError.*line 2: b = \(/)
    await write('def on_clear(a):\nreturn 1\n'.replace('\n', '\n    '))
    assert.match(await test(), /Python 3\.\d+\.\d+, .*: clear/)
    await editor().cancel()
  })
})
