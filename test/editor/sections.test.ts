import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { nodeRedMajor } from './editor'
import { flowOf } from './flows'
import { faint, nameless } from './looks'
import { editorSuite } from './suite'

const inject = { type: 'inject', props: [{ p: 'payload' }], payload: 'why', payloadType: 'str', once: true }
/** Deliveries that nobody takes, on the disk; a store that is used, and one that is wrong. */
const flow = (path: string) => [
  { id: 'other', type: 'tab', label: 'another' },
  { id: 'disabled', type: 'tab', label: 'disabled', disabled: true },
  { id: 'store', type: 'millrace-memory-store', name: 'notes', path },
  { id: 'wrong', type: 'millrace-memory-store', name: 'broken', memoryMb: -1 },
  { id: 'context', type: 'millrace-ros2-context', name: 'robot', domain: '182', discovery: 'localhost' },
  ...flowOf({
    start: { ...inject, onceDelay: 0.1, wires: [['post', 'write', 'bad']] },
    post: {
      ...{ type: 'millrace-action-http', name: 'to nobody', url: 'http://127.0.0.1:9/', accept: 'any' },
      ...{ durable: true, outboxFolder: `${path}-outbox`, privateAddresses: true, wires: [[], []] },
    },
    write: { type: 'millrace-memory-write', store: 'store', keyType: 'str', key: 'a', wires: [[], []] },
    bad: { type: 'millrace-memory-write', name: 'lost note', store: 'wrong', keyType: 'str', key: 'a', wires: [[]] },
    off: { type: 'millrace-memory-write', store: 'wrong', d: true },
    away: { type: 'millrace-memory-write', store: 'wrong', z: 'disabled' },
    hear: { type: 'millrace-ros2-in', context: 'context', topic: '/news', messageType: 'std_msgs/msg/String' },
  }),
]

const section = (page: Page, title: string) =>
  page.locator('.millrace-section', { has: page.locator('summary', { hasText: title }) })
const titles = ['Connections', 'Recent errors', 'ROS 2 graph', 'Spools and outboxes', 'Engine']

for (const theme of nodeRedMajor < 5 ? ['light'] : ['light', 'dark']) {
  editorSuite(`sections of the sidebar, ${theme}`, { remembered: { 'view-dark-theme': theme } }, (editor) => {
    const page = () => editor().page
    const row = (title: string, name: string) => section(page(), title).locator('li, tr').filter({ hasText: name })
    before(async () => {
      await editor().load(flow(`sections-${theme}`))
      await editor().act('millrace:show-sidebar')
    })

    it('connections: their states, why, and whom they serve badly', async () => {
      const broken = row('Connections', 'broken').first()
      await broken.locator('.millrace-state.millrace-bad', { hasText: 'failed' }).waitFor()
      await broken.locator('.millrace-why', { hasText: 'memoryMb' }).waitFor()
      await broken.getByText('used by 1').waitFor()
      await broken.locator('li', { hasText: 'lost note' }).waitFor()
      await row('Connections', 'notes').locator('.millrace-state', { hasText: 'open' }).waitFor()
      // Those in trouble stand first.
      const first = section(page(), 'Connections').locator('.millrace-state').first()
      assert.equal(await first.textContent(), 'failed')
    })

    it('errors: which, and a way to the node, by keyboard too', async () => {
      await editor().show('other')
      const lost = row('Recent errors', 'lost note').first()
      await lost.getByText('INVALID_OPTION').waitFor()
      await lost.getByRole('button', { name: 'lost note' }).focus()
      await page().keyboard.press('Enter')
      await page().waitForFunction(() => {
        const { RED } = globalThis as unknown as { RED: { workspaces: { active(): string } } }
        return RED.workspaces.active() === 'tab'
      })
    })

    it('spools and outboxes: how much, and since when', async () => {
      const cells = row('Spools and outboxes', 'to nobody').locator('td')
      await cells.nth(1).filter({ hasText: /^1$/ }).waitFor()
      assert.match((await cells.nth(3).textContent()) ?? '', /^\d+ (s|min)$/)
      assert.equal(await cells.nth(4).textContent(), '0')
    })

    it('the ROS 2 graph: what is there, and a part of it', async () => {
      await row('ROS 2 graph', '/news').getByText('std_msgs/msg/String').waitFor()
      await section(page(), 'ROS 2 graph').getByRole('searchbox').fill('millra')
      await row('ROS 2 graph', '/news').waitFor({ state: 'detached' })
      await row('ROS 2 graph', '/millrace').first().waitFor()
    })

    it('the engine: its version, and memory', async () => {
      await section(page(), 'Engine')
        .locator('[data-key=version] b', { hasText: /^\d+\.\d+\.\d+/ })
        .waitFor()
      const mb = await section(page(), 'Engine').locator('[data-key=resident] b').textContent()
      assert.ok(Number(mb) > 10, String(mb))
    })

    it('every text can be read, every button has a name, and nothing is too wide', async () => {
      for (const title of titles) {
        assert.deepEqual(await section(page(), title).evaluate(faint), [], title)
        assert.deepEqual(await section(page(), title).evaluate(nameless), [], title)
        assert.equal(await section(page(), title).evaluate((it) => it.scrollWidth - it.clientWidth), 0, title)
        const unnamed = section(page(), title).locator('button:visible').filter({ hasNotText: /\S/ })
        assert.equal(await unnamed.count(), 0, title)
      }
      if (process.env.MILLRACE_PICTURES) {
        await page().setViewportSize({ width: 1360, height: 1500 })
        await page().screenshot({ path: `${process.env.MILLRACE_PICTURES}/sections-${theme}.png` })
      }
    })
  })
}

editorSuite('sections with nothing in them', {}, (editor) => {
  const page = () => editor().page

  it('say so in a line', async () => {
    await editor().load(flowOf({ only: { type: 'millrace-tasks-done', wires: [[]] } }))
    await editor().act('millrace:show-sidebar')
    for (const title of ['Connections', 'ROS 2 graph', 'Spools and outboxes']) {
      await section(page(), title).locator('.millrace-sidebar-note').waitFor()
      const body = section(page(), title).locator('.millrace-sidebar-part:visible')
      assert.equal(await body.count(), 0, title)
    }
  })

  it('of a node that is gone the name leads nowhere; a search in vain shows nothing', async () => {
    await editor().load(flow('sections-gone'))
    await editor().act('millrace:show-sidebar')
    const lost = section(page(), 'Recent errors').locator('li', { hasText: 'lost note' }).first()
    await lost.waitFor()
    await page().evaluate(() => {
      const { RED } = globalThis as unknown as { RED: { nodes: { remove(id: string): void } } }
      RED.nodes.remove('bad')
    })
    await lost.locator('button:disabled').waitFor()
    const graph = section(page(), 'ROS 2 graph')
    await graph.locator('li', { hasText: '/news' }).waitFor()
    await graph.getByRole('searchbox').fill('nothing like it')
    await graph.locator('li').first().waitFor({ state: 'detached' })
  })

  it('what is in sight is asked for together, and drawn at once', async () => {
    let count = 0
    const figures = { engine: null, problem: null, resident: 1 }
    const keeper = { id: 'x', shown: 'x', type: 'any', name: 'x', bytes: 1, oldestMs: null, dropped: 0 }
    await page().route(/\/millrace-shared-engine\//, (route) => {
      count += 1
      return route.fulfill({ json: { ...figures, script: count << 24 } })
    })
    await page().route(/\/millrace-shared-backlog\//, (route) => {
      count += 1
      const total = { records: count, bytes: 5, oldestMs: null, dropped: 0 }
      return route.fulfill({ json: { keepers: [{ ...keeper, records: count }], count: 1, total } })
    })
    await editor().load(flowOf({ only: { type: 'millrace-tasks-done', wires: [[]] } }))
    await editor().act('millrace:show-sidebar')
    const engine = section(page(), 'Engine')
    await engine.locator('b').first().waitFor()
    await engine.locator('summary').click()
    await page().waitForRequest(/\/millrace-shared-backlog\//)
    // It begins at a time of its own.
    await page().waitForTimeout(1000)
    await engine.locator('summary').click()
    await page().waitForRequest(/\/millrace-shared-engine\//)
    const turns = await page().evaluateHandle(() => {
      const all: string[][] = []
      let turn: string[] | undefined
      const note = (what: string) => {
        if (!turn) {
          turn = []
          all.push(turn)
          setTimeout(() => (turn = undefined), 0)
        }
        turn.push(what)
      }
      const { $ } = globalThis as unknown as {
        $: (of: Document) => { on(name: string, hear: (...given: never[]) => void): void }
      }
      $(document).on('ajaxSend', (_event: Event, _request: object, { url }: { url: string }) => note(`ask ${url}`))
      for (const details of document.querySelectorAll('.millrace-section')) {
        const title = details.firstElementChild?.textContent
        const observer = new MutationObserver(() => note(`draw ${title}`))
        observer.observe(details, { subtree: true, childList: true, characterData: true })
      }
      return all
    })
    /** Whether all was in one turn of the page. */
    const isOneTurn = ([turns, wanted]: readonly [string[][], string[]]) =>
      turns.some((turn) => wanted.every((part) => turn.some((what) => what.includes(part))))
    for (const wanted of [
      ['ask millrace-shared-engine', 'ask millrace-shared-backlog'],
      ['draw Engine', 'draw Spools and outboxes'],
    ])
      await page().waitForFunction(isOneTurn, [turns, wanted] as unknown as readonly [string[][], string[]])
    await turns.dispose()
    for (const route of [/\/millrace-shared-engine\//, /\/millrace-shared-backlog\//]) await page().unroute(route)
  })

  it('of many only some are shown', async () => {
    const connections = Array.from({ length: 60 }, (_, n) => ({
      id: `c${n}`,
      type: 'millrace-memory-embedder',
      url: 'http://127.0.0.1:9/v1',
      model: 'any',
    }))
    await page().route(/\/millrace-shared-backlog\//, (route) =>
      route.fulfill({
        json: {
          keepers: [{ id: 'x', shown: 'x', type: 'any', name: 'x', records: 1, bytes: 1, oldestMs: null, dropped: 0 }],
          count: 1000,
          total: { records: 5, bytes: 5, oldestMs: null, dropped: 0 },
        },
      }),
    )
    await editor().load([...connections, ...flowOf({ only: { type: 'millrace-tasks-done', wires: [[]] } })])
    await editor().act('millrace:show-sidebar')
    await section(page(), 'Connections').getByText('and 10 more').waitFor()
    await section(page(), 'Spools and outboxes').getByText('and 999 more').waitFor()
    await page().unroute(/\/millrace-shared-backlog\//)
  })
})
