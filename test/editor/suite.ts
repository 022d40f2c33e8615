/** One Node-RED and one browser for all suites of the editor, and a page for each. */
import assert from 'node:assert/strict'
import type { Browser } from 'playwright-core'
import { Runtime } from '../runtime/harness'
import { findChromium, launch } from './chromium'
import { Editor, type Options } from './editor'

/** The small one of Node-RED's code editors: pages come sooner, and it shows code as well. */
const settings = "editorTheme: { tours: false, palette: { catalogues: [] }, codeEditor: { lib: 'ace' } },"

let shared: Promise<[Runtime, Browser]> | undefined
const start = () => (shared ??= Promise.all([Runtime.boot({ settings }), launch()]))

after(async function stopEditor() {
  this.timeout(90_000)
  const [runtime, browser] = (await shared) ?? []
  await browser?.close()
  await runtime?.remove()
})

const missing = process.env.MILLRACE_SKIP_EDITOR
  ? 'MILLRACE_SKIP_EDITOR is set'
  : findChromium()
    ? undefined
    : 'no Chromium found: install it, or name it by CHROMIUM'

/** A suite with an editor of its own. Each of its tests fails on any error that the page had meanwhile. */
export function editorSuite(title: string, options: Options, body: (editor: () => Editor) => void): void {
  const name = `editor: ${title}`
  if (missing) {
    console.log(`\nSKIPPED ${name} (${missing})\n`)
    describe.skip(name, () => body(() => assert.fail(missing)))
    return
  }
  describe(name, function suite() {
    this.timeout(60_000)
    let editor: Editor | undefined

    before(async function openEditor() {
      this.timeout(60_000)
      const [runtime, browser] = await start()
      editor = await Editor.open(browser, runtime, options)
    })
    afterEach(async function judgePage() {
      // What a failed test left open is in the way of the next.
      if (this.currentTest?.state === 'failed') await editor?.reset()
      assert.deepEqual(editor?.problems.splice(0), [], 'the page had errors')
    })
    after(() => editor?.close())
    body(() => editor ?? assert.fail('the editor is not open'))
  })
}
