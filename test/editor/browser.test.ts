import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { nodeRedMajor } from './editor'
import { flowOf } from './flows'
import { faint, nameless } from './looks'
import { editorSuite } from './suite'

const store = { id: 'store', type: 'millrace-memory-store' }
/** 120 keys in `devices`, and the counter `count` in `n` with 25 versions, a deletion among them. */
const filling = `
for (let n = 0; n < 120; n += 1) node.send([{ topic: 'pump-' + String(n).padStart(3, '0'), payload: { rpm: n } }])
for (let n = 0; n < 25; n += 1) node.send([null, { topic: 'count', payload: { n, site: 'A', note: 'x'.repeat(n === 24 ? 30000 : 3) } }])
`
const inject = { type: 'inject', props: [{ p: 'payload' }], once: true, onceDelay: 0.1 }
const write = { type: 'millrace-memory-write', store: 'store', keyType: 'msg', key: 'topic' }
const flow = flowOf({
  start: { ...inject, wires: [['many']] },
  many: { type: 'function', func: filling, outputs: 2, wires: [['devices'], ['count']] },
  devices: { ...write, namespace: 'devices', wires: [[], []] },
  count: { ...write, namespace: 'n', wires: [[], []] },
})

const browser = (page: Page) =>
  page.locator('.millrace-section', { has: page.locator('summary', { hasText: 'Memory' }) })
const rows = (page: Page) => browser(page).locator('.millrace-names').first().locator('button')
const row = (page: Page, name: string) => rows(page).filter({ hasText: new RegExp(`^${name}`) })
const versions = (page: Page) => browser(page).locator('.millrace-names').last().locator('button')
const value = (page: Page) => browser(page).locator('.millrace-value')
const press = (page: Page, name: string) =>
  browser(page).getByRole('button', { name, exact: true }).and(page.locator(':visible')).click()

for (const theme of nodeRedMajor < 5 ? ['light'] : ['light', 'dark']) {
  editorSuite(`memory in the sidebar, ${theme}`, { remembered: { 'view-dark-theme': theme } }, (editor) => {
    const page = () => editor().page
    before(() => editor().load([{ ...store, path: `browser-${theme}` }, ...flow]))

    it('shows the namespaces', async () => {
      await editor().act('millrace:show-sidebar')
      await browser(page()).locator('.millrace-figures [data-key=keys] b', { hasText: '121' }).waitFor()
      await row(page(), 'devices').filter({ hasText: '120' }).waitFor()
      assert.equal(await rows(page()).count(), 2)
      assert.equal(await browser(page()).locator('select').isVisible(), false, 'there is one store alone')
    })

    it('turns the pages of keys', async () => {
      await row(page(), 'devices').click()
      await row(page(), 'pump-049').waitFor()
      await press(page(), 'Next page')
      await row(page(), 'pump-099').waitFor()
      await press(page(), 'Next page')
      await row(page(), 'pump-119').waitFor()
      assert.equal(await rows(page()).count(), 20)
      await press(page(), 'Page before')
      await row(page(), 'pump-050').waitFor()
    })

    it('finds keys that begin so, and those that may be meant', async () => {
      const search = browser(page()).getByRole('searchbox')
      await search.fill('pump-11')
      await row(page(), 'pump-119').waitFor()
      await row(page(), 'pump-050').waitFor({ state: 'detached' })
      assert.equal(await rows(page()).count(), 10)
      await search.fill('pmup-042')
      await row(page(), 'pump-042').waitFor()
      await browser(page()).getByText('None begins so').waitFor()
      await search.fill('nothing like it at all')
      await browser(page()).getByText('none', { exact: true }).waitFor()
    })

    it('by keyboard alone: up, and into a document', async () => {
      await browser(page()).getByRole('button', { name: 'Up' }).focus()
      await page().keyboard.press('Enter')
      await row(page(), 'n').focus()
      await page().keyboard.press('Enter')
      await row(page(), 'count').focus()
      await page().keyboard.press('Enter')
      await versions(page()).nth(19).waitFor()
      await value(page()).filter({ hasText: '"n": 24' }).waitFor()
      await browser(page()).getByText('the first 20000 of').waitFor()
      assert.equal(await versions(page()).first().getAttribute('aria-pressed'), 'true')
    })

    it('shows what a version was, and what it changed', async () => {
      await versions(page()).nth(3).click()
      await value(page()).filter({ hasText: '"n": 21' }).waitFor()
      const change = browser(page()).locator('.millrace-change')
      assert.deepEqual(await change.allInnerTexts(), ['≠ /n\n− 20\n+ 21'])
      await press(page(), 'Next page')
      await versions(page()).nth(5).waitFor({ state: 'detached' })
      await versions(page()).nth(4).click()
      await value(page()).filter({ hasText: '"n": 0' }).waitFor()
      await browser(page()).getByText('There is nothing to compare it with.').waitFor()
    })

    it('every text can be read, every button has a name, and nothing is too wide', async () => {
      assert.deepEqual(await browser(page()).evaluate(faint), [])
      assert.deepEqual(await browser(page()).evaluate(nameless), [])
      assert.equal(await browser(page()).evaluate((element) => element.scrollWidth - element.clientWidth), 0)
    })

    it('brings an older version back, and follows what is newest', async () => {
      await press(page(), 'Restore this version')
      await versions(page()).nth(19).waitFor()
      await value(page()).filter({ hasText: '"n": 0' }).waitFor()
      assert.equal(await versions(page()).first().getAttribute('aria-pressed'), 'true')
      await page().evaluate(() => {
        const { $ } = globalThis as unknown as { $: { ajax(options: object): PromiseLike<unknown> } }
        return $.ajax({ method: 'POST', url: 'inject/start' })
      })
      await value(page()).filter({ hasText: '"n": 24' }).waitFor()
    })

    it('what failed is told', async () => {
      await page().route(/\/restore$/, (route) =>
        route.fulfill({ status: 500, json: { code: 'DISK_FULL', message: 'the disk is full' } }),
      )
      await press(page(), 'Restore this version')
      await editor().notifications.filter({ hasText: 'the disk is full' }).waitFor()
      await page().unroute(/\/restore$/)
      // The browser itself tells of it.
      const { problems } = editor()
      problems.splice(0, problems.length, ...problems.filter((text) => !text.includes('500')))
    })
  })
}

editorSuite('memory in the sidebar of others', {}, (editor) => {
  const page = () => editor().page

  it('without a store it says so; of several stores one is chosen', async () => {
    await editor().load(flowOf({ only: { type: 'millrace-tasks-done', wires: [[]] } }))
    await editor().act('millrace:show-sidebar')
    await browser(page()).getByText('There is no memory store in these flows.').waitFor()
    const other = { id: 'other', type: 'millrace-memory-store', name: 'another', path: 'browser-other' }
    await editor().load([{ ...store, name: 'one', path: 'browser-one' }, other, ...flow])
    await editor().act('millrace:show-sidebar')
    await browser(page()).locator('select').selectOption('one')
    await row(page(), 'devices').click()
    await row(page(), 'pump-049').waitFor()
    await browser(page()).locator('select').selectOption('another')
    await browser(page()).getByText('none', { exact: true }).waitFor()
    await browser(page()).getByText('Namespaces', { exact: true }).waitFor()
  })

  it('who may only look cannot restore', async () => {
    await page().route(/\/settings(\?|$)/, async (route) => {
      const response = await route.fetch()
      const settings = { ...(await response.json()), user: { username: 'reader', permissions: 'read' } }
      await route.fulfill({ response, json: settings })
    })
    await editor().load([{ ...store, path: 'browser-reader' }, ...flow])
    await editor().act('millrace:show-sidebar')
    await row(page(), 'n').click()
    await row(page(), 'count').click()
    await value(page()).filter({ hasText: '"n": 24' }).waitFor()
    assert.equal(await browser(page()).getByRole('button', { name: 'Restore this version' }).count(), 0)
    await page().unroute(/\/settings(\?|$)/)
  })
})
