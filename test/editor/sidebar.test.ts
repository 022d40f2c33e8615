import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { nodeRedMajor } from './editor'
import { flowOf } from './flows'
import { faint, nameless } from './looks'
import { editorSuite } from './suite'

const inject = { type: 'inject', props: [{ p: 'payload' }], payload: 'why', payloadType: 'str', once: true }
const broker = { id: 'broker', type: 'millrace-tasks-broker', path: 'sidebar' }
const send = { type: 'millrace-tasks-send', broker: 'broker', maxRetries: 0 }
/** 25 tasks that end dead, and three that nobody takes. */
const flow = [
  broker,
  ...flowOf({
    start: { ...inject, onceDelay: 0.1, wires: [['many', 'three']] },
    many: {
      type: 'function',
      func: 'return [Array.from({ length: 25 }, () => ({ payload: msg.payload }))]',
      wires: [['charge']],
    },
    three: { type: 'function', func: 'return [[1, 2, 3].map((payload) => ({ payload }))]', wires: [['wait']] },
    charge: { ...send, task: 'charge', wires: [[]] },
    wait: { ...send, task: 'wait', queue: 'slow', wires: [[]] },
    work: { type: 'millrace-tasks-worker', broker: 'broker', tasks: 'charge', wires: [['done'], []] },
    done: { type: 'millrace-tasks-done', outcome: 'failure', wires: [[]] },
  }),
]

/** The section of the tasks. */
const sidebar = (page: Page) =>
  page.locator('.millrace-section', { has: page.locator('summary', { hasText: 'Tasks' }) })
const figure = (page: Page, name: string) => sidebar(page).locator(`.millrace-figures [data-key=${name}] b`)
const queue = (page: Page, name: string) => sidebar(page).locator(`tr[data-key="${name}"]`)
const worker = (page: Page) => sidebar(page).locator('tr[data-key$=" work"]')
const dead = (page: Page) => sidebar(page).locator('.millrace-sidebar-part').last()

/** Without the other sections: what they have of other suites would push it out of sight, where nothing is asked for it. */
const alone = (page: Page, besides = '') =>
  sidebar(page).evaluate((element, besides) => {
    for (const other of element.parentElement?.children ?? []) {
      const stays = other === element || (besides !== '' && other.matches(besides))
      if (!stays) (other as HTMLElement).style.display = 'none'
    }
  }, besides)

/** Waits until an element shows a text. */
async function shows(locator: ReturnType<typeof figure>, text: string): Promise<void> {
  await locator.filter({ hasText: new RegExp(`^${text}$`) }).waitFor()
}

for (const theme of nodeRedMajor < 5 ? ['light'] : ['light', 'dark']) {
  editorSuite(`sidebar, ${theme}`, { remembered: { 'view-dark-theme': theme } }, (editor) => {
    const page = () => editor().page
    const path = `sidebar-${theme}`
    before(() => editor().load([{ ...broker, path }, ...flow.slice(1)]))

    it('shows what a broker holds', async () => {
      await editor().act('millrace:show-sidebar')
      await shows(figure(page(), 'dead'), '25')
      await shows(figure(page(), 'pending'), '3')
      await shows(queue(page(), 'slow').locator('td').nth(1), '3')
      assert.equal(await worker(page()).locator('td').first().textContent(), 'charge')
      assert.equal(await sidebar(page()).locator('select').isVisible(), false, 'there is one broker alone')
    })

    it('every text can be read, and every button has a name', async () => {
      assert.deepEqual(await sidebar(page()).evaluate(faint), [])
      assert.deepEqual(await sidebar(page()).evaluate(nameless), [])
      const names = await sidebar(page())
        .locator('button')
        .evaluateAll((buttons) => buttons.map((button) => button.getAttribute('aria-label')))
      assert.ok(names.length > 0 && names.every(Boolean))
    })

    it('stays in its place when it is narrow', async () => {
      const wide = await sidebar(page()).evaluate((element) => element.scrollWidth - element.clientWidth)
      assert.equal(wide, 0)
    })

    it('pauses a queue, and lets it go on', async () => {
      const button = queue(page(), 'slow').locator('button')
      await button.click()
      await queue(page(), 'slow').locator('.fa-play').waitFor()
      await button.click()
      await queue(page(), 'slow').locator('.fa-pause').waitFor()
    })

    it('turns the pages of the dead', async () => {
      await dead(page()).getByRole('button', { name: 'Older' }).click()
      await dead(page()).locator('li').nth(5).waitFor({ state: 'detached' })
      assert.equal(await dead(page()).locator('li').count(), 5)
      await dead(page()).getByRole('button', { name: 'Newer' }).click()
      await dead(page()).locator('li').nth(19).waitFor()
    })

    it('deletes one, and sends one again', async () => {
      await dead(page()).getByRole('button', { name: 'Delete: charge' }).first().click()
      await shows(figure(page(), 'dead'), '24')
      await queue(page(), 'slow').waitFor()
      await dead(page()).getByRole('button', { name: 'Send again: charge' }).first().click()
      // It fails as before.
      await shows(worker(page()).locator('td').nth(2), '26')
      await shows(figure(page(), 'dead'), '24')
    })

    it('a row keeps the focus when the one before it goes', async () => {
      const rows = dead(page()).locator('li')
      const [first, second] = [await rows.nth(0).getAttribute('data-key'), await rows.nth(1).getAttribute('data-key')]
      await rows.nth(1).getByRole('button').first().focus()
      // As when another one deletes it: the focus stays.
      await rows
        .nth(0)
        .getByRole('button', { name: 'Delete' })
        .evaluate((button: HTMLElement) => button.click())
      await page().locator(`li[data-key="${first}"]`).waitFor({ state: 'detached' })
      const focused = () => document.activeElement?.closest('li')?.dataset.key
      assert.equal(await page().evaluate(focused), second)
    })

    it('asks before it does something to all', async () => {
      await dead(page()).getByRole('button', { name: 'Delete all' }).click()
      await editor().notifications.getByRole('button', { name: 'Cancel' }).click()
      await editor().notifications.waitFor({ state: 'detached' })
      await shows(figure(page(), 'dead'), '23')
      await dead(page()).getByRole('button', { name: 'Delete all' }).click()
      await editor().notifications.getByRole('button', { name: 'Delete all' }).click()
      await shows(figure(page(), 'dead'), '0')
      await shows(dead(page()).locator('li'), 'none')
    })

    it('asks nothing while it cannot be seen', async () => {
      await sidebar(page()).locator('summary').click()
      const asked: string[] = []
      page().on('request', (request) => request.url().includes('/overview') && asked.push(request.url()))
      // A round that was under way may still end.
      await page().waitForTimeout(500)
      asked.length = 0
      await page().waitForTimeout(5000)
      assert.deepEqual(asked, [])
      await sidebar(page()).locator('summary').click()
      await page().waitForRequest((request) => request.url().includes('/overview'))
    })

    it('says of a section that gets no answer that it is so, and goes on with the others', async () => {
      await alone(page(), ':first-child')
      // What waits is let go at the end: the browser asks only so many at once.
      const held: (() => void)[] = []
      await page().route(/\/overview$/, async (route) => {
        await new Promise<void>((resolve) => held.push(resolve))
        await route.abort().catch(() => {})
      })
      await sidebar(page()).getByText('It does not answer: timeout').waitFor({ timeout: 60_000 })
      await page().waitForRequest((request) => request.url().includes('/millrace-shared-connections'))
      for (const release of held) release()
      await page().unroute(/\/overview$/)
      await sidebar(page()).getByText('It does not answer').waitFor({ state: 'hidden' })
    })

    it('asks nothing for what is out of sight, until it comes into it', async () => {
      await alone(page(), ':first-child')
      // The one above takes all the room.
      await page().evaluate(() => {
        const first = document.querySelector<HTMLElement>('.millrace-sidebar > .millrace-section')
        if (first) first.style.minHeight = '3000px'
      })
      await sidebar(page()).evaluate((element) => element.parentElement?.scrollTo(0, 0))
      const asked: string[] = []
      page().on('request', (request) => request.url().includes('/millrace-') && asked.push(request.url()))
      // Another section is asked meanwhile.
      const asksNothing = async () => {
        await page().waitForTimeout(500)
        asked.length = 0
        await page().waitForRequest((request) => request.url().includes('/millrace-shared-connections'))
        await page().waitForTimeout(500)
        assert.deepEqual(
          asked.filter((url) => url.includes('/overview')),
          [],
        )
      }
      await asksNothing()
      // What begins where the sight ends is out of it, too.
      await sidebar(page()).evaluate((element) => {
        const [content, first] = [element.parentElement, element.parentElement?.firstElementChild as HTMLElement]
        if (!content) return
        content.style.height = '400px'
        const top = () => element.getBoundingClientRect().top - content.getBoundingClientRect().top + content.scrollTop
        first.style.minHeight = `${3000 + Math.ceil(top()) - top()}px`
        content.scrollTo(0, top() - 400)
      })
      await asksNothing()
      await sidebar(page()).evaluate((element) => element.scrollIntoView())
      await page().waitForRequest((request) => request.url().includes('/overview'))
    })
  })
}

editorSuite('sidebar of others', {}, (editor) => {
  const page = () => editor().page

  it('who may only look has nothing to act with', async () => {
    // What the editor is told of its user.
    await page().route(/\/settings(\?|$)/, async (route) => {
      const response = await route.fetch()
      const settings = { ...(await response.json()), user: { username: 'reader', permissions: 'read' } }
      await route.fulfill({ response, json: settings })
    })
    await editor().load([{ ...broker, path: 'sidebar-reader' }, ...flow.slice(1)])
    await editor().act('millrace:show-sidebar')
    await shows(figure(page(), 'dead'), '25')
    assert.deepEqual(
      await sidebar(page())
        .locator('button')
        .evaluateAll((buttons) => buttons.map((button) => button.getAttribute('aria-label'))),
      ['Newer', 'Older'],
    )
    await page().unroute(/\/settings(\?|$)/)
  })

  it('without a broker it says so; a broker that is not deployed, too', async () => {
    await editor().load(flowOf({ only: { type: 'millrace-tasks-done', wires: [[]] } }))
    await editor().act('millrace:show-sidebar')
    const note = sidebar(page()).locator('.millrace-sidebar-note')
    await shows(note, 'There is no tasks broker in these flows.')
    await alone(page())
    await page().evaluate(() => {
      const { RED } = globalThis as unknown as { RED: { nodes: { import(nodes: object[]): void } } }
      RED.nodes.import([{ id: 'new', type: 'millrace-tasks-broker', z: '', path: 'new' }])
    })
    await note.filter({ hasText: 'not deployed' }).waitFor()
  })

  it('of several brokers one is chosen', async () => {
    const other = { id: 'other', type: 'millrace-tasks-broker', name: 'another', path: 'sidebar-other' }
    const one = { ...broker, name: 'one', path: 'sidebar-one' }
    await editor().load([one, other, ...flow.slice(1)])
    await editor().act('millrace:show-sidebar')
    await alone(page())
    await sidebar(page()).locator('select').selectOption('one')
    await shows(figure(page(), 'dead'), '25')
    await sidebar(page()).locator('select').selectOption('another')
    await shows(figure(page(), 'dead'), '0')
    await shows(dead(page()).locator('li'), 'none')
  })

  it('tells when a broker does not answer, and goes on when it does', async () => {
    await page().route(/\/overview$/, (route) =>
      route.fulfill({ status: 500, json: { code: 'DISK_FULL', message: 'the disk is full' } }),
    )
    await alone(page())
    const problem = sidebar(page()).locator('.millrace-sidebar-problem')
    await problem.filter({ hasText: 'the disk is full' }).waitFor()
    await page().unroute(/\/overview$/)
    await problem.waitFor({ state: 'hidden' })
    // The browser itself tells of each.
    const { problems } = editor()
    problems.splice(0, problems.length, ...problems.filter((text) => !text.includes('500')))
  })

  it('goes with its package', async () => {
    await page().evaluate(() => {
      const { RED } = globalThis as unknown as { RED: { events: { emit(name: string, set: object): void } } }
      RED.events.emit('registry:node-set-removed', { module: '@other/package', types: [] })
      RED.events.emit('registry:node-set-removed', { module: '@millrace/node-red', types: [] })
    })
    await sidebar(page()).waitFor({ state: 'detached' })
  })
})
