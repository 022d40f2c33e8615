/**
 * Pictures for the documentation (`npm run screenshots`): of the tour; with `dialogs` behind the folder, of the dialogs
 * of its nodes, too. Of a Node-RED that has a dark theme, each picture comes in both.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, Runtime, root } from '../runtime/harness'
import { launch } from './chromium'
import { Editor, nodeRedMajor } from './editor'

const tour = JSON.parse(readFileSync(join(root, 'examples/tour.json'), 'utf8')) as (Json & {
  id: string
  type: string
})[]
const themes = nodeRedMajor >= 5 ? ['light', 'dark'] : ['light']
/** Enough for the debug sidebar to show what comes out. */
const filesShown = 2

async function main(folder: string, withDialogs: boolean): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const [runtime, browser] = await Promise.all([Runtime.boot(), launch()])
  try {
    for (const theme of themes) {
      const options = { deviceScaleFactor: 1.25, remembered: { 'view-dark-theme': theme } }
      const editor = await Editor.open(browser, runtime, options)
      const file = (name: string) => join(folder, `${name}${theme === 'light' ? '' : `-${theme}`}.png`)
      await editor.load(tour)
      await shootTour(editor, file('tour'))
      const shown = tour.filter(({ type, wires }) => withDialogs && type.startsWith('millrace-') && wires)
      for (const { id, type } of shown) {
        await shootDialog(editor, id, (part) => file(`${type}${part}`))
      }
      await editor.close()
    }
  } finally {
    await browser.close()
    await runtime.remove()
  }
}

async function shootTour(editor: Editor, path: string): Promise<void> {
  const { page } = editor
  const size = page.viewportSize()
  // As large as the flow needs.
  await page.setViewportSize({ width: 1960, height: 1220 })
  await editor.act('core:show-debug-tab')
  const messages = page.locator('.red-ui-debug-msg')
  await messages.nth(filesShown - 1).waitFor({ timeout: 40_000 })
  const parts = messages.first().locator('.red-ui-debug-msg-expandable')
  // The rows of a file: the list, its first ten, the first of them.
  for (const place of [0, 1, 2]) await parts.nth(place).click()
  await page.mouse.move(1, 1)
  await page.screenshot({ path })
  if (size) await page.setViewportSize(size)
}

async function shootDialog(editor: Editor, id: string, file: (part: string) => string): Promise<void> {
  await editor.edit(id)
  // The dialog slides in.
  await editor.page.locator('#node-dialog-ok').click({ trial: true })
  await editor.page.screenshot({ path: file('') })
  for (const more of await editor.page.locator('.millrace-form summary').all()) {
    await more.click()
    await editor.page.locator('.millrace-examples').scrollIntoViewIfNeeded()
    await editor.page.screenshot({ path: file('-more') })
  }
  await editor.cancel()
}

main(process.argv[2] ?? 'docs', process.argv[3] === 'dialogs').catch((error) => {
  console.error(error)
  process.exitCode = 1
})
