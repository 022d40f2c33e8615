/**
 * Pictures of the tour and of every node's dialog: `npx tsx test/editor/screenshots.ts <folder>`. Of a Node-RED that
 * has a dark theme, each picture comes in both.
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
const groupsShown = 3

async function main(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const [runtime, browser] = await Promise.all([Runtime.boot(), launch()])
  try {
    for (const theme of themes) {
      const options = { deviceScaleFactor: 2, remembered: { 'view-dark-theme': theme } }
      const editor = await Editor.open(browser, runtime, options)
      const file = (name: string) => join(folder, `${name}${theme === 'light' ? '' : `-${theme}`}.png`)
      await editor.load(tour)
      await shootTour(editor, file('tour'))
      for (const { id, type } of tour.filter(({ type }) => type.startsWith('millrace-'))) {
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
  // As high as the flow needs.
  await page.setViewportSize({ width: 1360, height: 600 })
  await editor.act('core:show-debug-tab')
  const ours = page.locator('.red-ui-palette-node[data-palette-type^=millrace-]')
  await ours.last().scrollIntoViewIfNeeded()
  const messages = page.locator('.red-ui-debug-msg')
  const parts = messages.first().locator('.red-ui-debug-msg-expandable')
  // One group in full: the object, then what is in it.
  await parts.first().click({ timeout: 20_000 })
  for (const part of (await parts.all()).slice(1)) await part.click()
  await messages.nth(groupsShown - 1).waitFor({ timeout: 20_000 })
  await page.mouse.move(700, 500)
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

main(process.argv[2] ?? 'screenshots').catch((error) => {
  console.error(error)
  process.exitCode = 1
})
