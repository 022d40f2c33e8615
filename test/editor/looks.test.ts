import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/harness'
import { type Editor, nodeRedMajor } from './editor'
import { flowOf, row } from './flows'
import { faint, nameless, overflowing } from './looks'
import { editorSuite } from './suite'

const long = 'a name that somebody made as long as a sentence because it had to say everything at once '.repeat(3)
const flow = flowOf({
  // Its x is that of its middle.
  long: { x: 1500, name: long, topics: [row(long.replaceAll(' ', '_'), true, '33.333'), row('right')] },
  wrong: { topics: [row('left'), row('left', true, 'often')], windowMs: 'wide' },
})

async function openAll(editor: Editor, id: string): Promise<ReturnType<Editor['page']['locator']>> {
  await editor.edit(id)
  await editor.page.locator('.millrace-form summary').click()
  // The dialog has come to rest.
  await editor.page.locator('#node-dialog-ok').click({ trial: true })
  return editor.page.locator('.millrace-form')
}

for (const theme of ['light', 'dark']) {
  editorSuite(`looks, ${theme}`, { remembered: { 'view-dark-theme': theme } }, (editor) => {
    before(function load() {
      if (theme === 'dark' && nodeRedMajor < 5) {
        console.log('      SKIPPED: a dark theme comes with Node-RED 5')
        this.skip()
      }
      return editor().load(flow)
    })

    it('every text can be read', async () => {
      const dark = await editor().page.evaluate(() => document.documentElement.classList.contains('nr-theme-dark'))
      assert.equal(dark, theme === 'dark')
      const form = await openAll(editor(), 'wrong')
      assert.deepEqual(await form.evaluate(faint), [])
    })

    it('every input has a name for a screen reader', async () => {
      assert.deepEqual(await editor().page.locator('.millrace-form').evaluate(nameless), [])
      await editor().cancel()
    })

    it('long names and topics stay in their places, on a small screen at 200 %, too', async () => {
      for (const size of [editor().page.viewportSize(), { width: 1920 / 2, height: 1080 / 2 }]) {
        if (size) await editor().page.setViewportSize(size)
        const form = await openAll(editor(), 'long')
        assert.deepEqual(await form.evaluate(overflowing), [])
        await editor().cancel()
      }
    })
  })
}

describe('editor: colours', () => {
  const files = readdirSync(join(root, 'nodes'), { recursive: true, encoding: 'utf8' })
  const code = /#[0-9a-f]{3,8}\b(?!-)|\b(rgb|hsl|oklch)a?\(/gi
  const style = /\b(color|background|fill|stroke|border)[\w-]*\s*:\s*(?!var\(|inherit|none|0|\d+px solid var\()\S+/gi
  for (const file of files.filter((file) => /\.(html|css)$|editor\.ts$/.test(file) && !file.includes('locales'))) {
    it(`${file.replaceAll('\\', '/')} has none of its own, but the node's in the palette`, () => {
      const text = readFileSync(join(root, 'nodes', file), 'utf8').replace(/color: '#[0-9a-f]{6}',/, '')
      const found = [...text.matchAll(code), ...(file.endsWith('.ts') ? [] : text.matchAll(style))]
      assert.deepEqual(found.map(String), [])
    })
  }
})
