/** Every dialog of the collection: whoever adds a node to package.json need not add it here. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConfigSpec, Fields } from '../../nodes/shared/config'
import { type Json, moduleName, nodeTypes, root } from '../runtime/harness'
import { type Editor, nodeRedMajor } from './editor'
import {
  faint,
  nameless,
  overflowing,
  overlapping,
  scrolling,
  shortened,
  silent,
  textsOf,
  throughAll,
  uneven,
} from './looks'
import { editorSuite } from './suite'

/** What the tests use of the editor's own API, inside the page. */
declare const RED: {
  editor: { edit(node: object): void; editConfig(name: string, type: string, id: string): void }
  nodes: { node(id: string): object; getNodeHelp(type: string): string }
}
/** The page's own. */
declare function $(list: string): { treeList(question: 'selected'): { path: string } }

const long = 'a name that somebody made as long as a sentence because it had to say everything at once '.repeat(3)

interface Kind {
  type: string
  /** Of its files: `nodes/<word>/<name>`. */
  path: string
  isConfig: boolean
}

const kinds: Kind[] = nodeTypes.map(([type, file]) => {
  const page = readFileSync(join(root, file.replace('.js', '.html')), 'utf8')
  const path = file.replace('dist/', '').replace('.js', '')
  return { type, path, isConfig: page.includes('category: "config"') }
})

/** One node of each type with a long name, which has its type as its id; they refer to each other. None of them runs. */
function flow(): Json[] {
  const nodes = kinds.map(({ type, path, isConfig }, place) => {
    const exported = require(join(root, `nodes/${path}.config`)) as Record<string, Partial<ConfigSpec<Fields>>>
    const spec =
      Object.values(exported).find((one) => one?.type === type) ?? assert.fail(`${path} has no configuration`)
    const saved = Object.entries(spec.fields ?? {}).map(([name, field]) => [name, field.type ?? field.value])
    const at = { z: 'tab', x: 160 + 220 * (place % 4), y: 60 + 60 * Math.floor(place / 4), wires: [] }
    return { ...Object.fromEntries(saved), id: type, type, name: long, d: true, ...(isConfig ? {} : at) }
  })
  return [{ id: 'tab', type: 'tab', label: 'all' }, ...nodes]
}

async function open(editor: Editor, { type, isConfig }: Kind): Promise<void> {
  await editor.page.evaluate(
    ([type, isConfig]) => {
      if (isConfig) RED.editor.editConfig('', type, type)
      else RED.editor.edit(RED.nodes.node(type))
    },
    [type, isConfig] as const,
  )
  await editor.opened()
}

/** A key that no catalogue has is shown as it is. */
const isKey = (text: string) => /^(\S+:)?(label|option|tip|button|config|test|rule|kind|limit)\.[A-Za-z.]+$/.test(text)

const small = { viewport: { width: 960, height: 540 } }
for (const language of ['en-US', 'fr', 'de', 'ja', 'zh-CN']) {
  // A usual screen at 200 %: the dialog is as narrow as Node-RED lets it be.
  editorSuite(`dialogs at 200 % in ${language}`, { locale: language, ...small }, (editor) => {
    before(() => editor().load(flow()))

    for (const kind of kinds) {
      it(`${kind.type}: all can be seen and has a name, whatever is chosen and typed`, async () => {
        await open(editor(), kind)
        const form = editor().page.locator('.millrace-form')
        assert.deepEqual(await form.evaluate(silent), [])
        assert.deepEqual((await form.evaluate(textsOf)).filter(isKey), [])
        const checks = [overflowing, scrolling, overlapping, nameless, shortened, uneven]
        assert.deepEqual(await editor().page.evaluate(throughAll(long, checks)), [])
        await editor().cancel()
      })
    }

    it('the help of each speaks the language', async () => {
      const helps = await editor().page.evaluate(
        (types) => types.map((type) => RED.nodes.getNodeHelp(type)),
        kinds.map(({ type }) => type),
      )
      for (const [place, { path }] of kinds.entries()) {
        const file = join(root, 'nodes', path.replace('/', `/locales/${language}/`))
        const [, first = ''] = /<p>(.*?)<\/p>/s.exec(readFileSync(`${file}.html`, 'utf8')) ?? []
        assert.ok(first !== '' && helps[place]?.includes(first), `${path}: ${helps[place]?.slice(0, 200)}`)
      }
    })
  })
}

/** What can have the focus in a form, in the order in which it is read: by lines, and from the left in each. */
function order(form: Element): string[] {
  const kinds = 'input:not([type=hidden]), select, textarea, button, a, summary, [tabindex]'
  const parts = [...form.querySelectorAll<HTMLInputElement>(kinds)].filter(
    (part) => part.getClientRects().length > 0 && !part.disabled && part.tabIndex >= 0,
  )
  const boxOf = (part: Element) => {
    const item = part.matches('.red-ui-editableList-item-remove') && part.closest('li')?.getBoundingClientRect()
    // Beside all lines of a row, and the last of it.
    return item ? new DOMRect(item.right, item.bottom - 1, 1, 1) : part.getBoundingClientRect()
  }
  const boxes = parts.map((part) => [part, boxOf(part)] as const)
  const middle = (box: DOMRect) => box.top + box.height / 2
  const isLine = (a: DOMRect, b: DOMRect) => middle(a) < b.bottom && middle(a) > b.top
  boxes.sort(([, a], [, b]) => (isLine(a, b) || isLine(b, a) ? a.left - b.left : middle(a) - middle(b)))
  return boxes.map(([part], place) => {
    const name = part.id || part.getAttribute('aria-label') || part.textContent?.trim() || part.className
    part.dataset.focus = `${place}: ${name}`
    return part.dataset.focus
  })
}

/** Each list with a row, and every part open. */
function unfold(form: Element): void {
  for (const button of form.querySelectorAll<HTMLElement>('.red-ui-editableList-addButton')) {
    if (button.offsetParent) button.click()
  }
  for (const fold of form.querySelectorAll('details')) fold.open = true
}

/** From now on: what gets the focus, and which buttons are pressed; they do not act. */
function listen(form: Element): { focused: string[]; pressed: string[] } {
  const focused: string[] = []
  const pressed: string[] = []
  const name = (target: EventTarget | null) => (target as HTMLElement | null)?.dataset.focus ?? ''
  form.ownerDocument.addEventListener('focusin', ({ target }) => focused.push(name(target)))
  const press = (event: Event) => {
    const button = (event.target as Element).closest('button, [role=button]')
    if (!button) return
    event.preventDefault()
    event.stopImmediatePropagation()
    pressed.push(name(button))
  }
  form.addEventListener('click', press, true)
  return { focused, pressed }
}

/** Whether a line of a list can be seen without scrolling. */
function isInSight(line: Element): boolean {
  const list = line.closest('.red-ui-treeList')?.getBoundingClientRect() ?? new DOMRect()
  const { top, bottom } = line.getBoundingClientRect()
  return top < bottom && top >= list.top && bottom <= list.bottom
}

for (const theme of nodeRedMajor < 5 ? ['light'] : ['light', 'dark']) {
  editorSuite(`dialogs, ${theme}`, { remembered: { 'view-dark-theme': theme } }, (editor) => {
    const page = () => editor().page
    const press = (key: string) => page().keyboard.press(key)
    const list = '#red-ui-clipboard-dialog-import-tab-examples .red-ui-treeList'
    before(() => editor().load(flow()))

    for (const kind of kinds) {
      it(`${kind.type}: can be read, can be used by keyboard alone, and leads to its example`, async () => {
        await open(editor(), kind)
        const form = page().locator('.millrace-form')
        await form.evaluate(unfold)
        assert.deepEqual(await form.evaluate(faint), [])

        const parts = await form.evaluate(order)
        const heard = await form.evaluateHandle(listen)
        const focused = () => heard.evaluate(({ focused }) => focused)
        await page().locator('#node-dialog-ok, #node-config-dialog-ok').focus()
        for (let left = parts.length + 20; left > 0 && (await focused()).at(-1) !== parts.at(-1); left -= 1) {
          await press('Tab')
        }
        assert.deepEqual((await focused()).filter(Boolean), parts, 'what Tab comes to')
        await press('Tab')
        assert.equal(await form.evaluate((form) => form.contains(document.activeElement)), false, 'Tab leads out')

        const wanted: string[] = []
        for (const button of await form.locator('button:visible, [role=button]:visible').all()) {
          await button.focus()
          for (const key of ['Enter', 'Space']) await press(key)
          const name = (await button.getAttribute('data-focus')) ?? ''
          wanted.push(name, name)
        }
        assert.deepEqual(await heard.evaluate(({ pressed }) => pressed), wanted, 'what Enter and Space press')
        await heard.dispose()

        await form.locator('.millrace-examples').focus()
        await press('Enter')
        // Node-RED lets only a file be imported.
        await page().locator('#red-ui-clipboard-dialog-ok:enabled').waitFor()
        assert.equal(await editor().dialog.count(), 0)
        const { path } = await page().evaluate((list) => $(list).treeList('selected'), list)
        const example = readFileSync(join(root, 'examples', `${path.replace(`${moduleName}/`, '')}.json`), 'utf8')
        assert.ok(example.includes(`"type": "${kind.type}"`), path)
        assert.ok(await page().locator(`${list} .red-ui-treeList-label.selected`).evaluate(isInSight))
        await page().locator('#red-ui-clipboard-dialog-cancel').click()
      })
    }
  })
}
