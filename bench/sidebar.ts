/**
 * What the sidebar costs while it shows 1,000 items that change each second: CPU time of the page's own process, and of
 * Node-RED. Each of the sections with many items in sight, beside the same flow while another tab of the sidebar is shown.
 * What the sidebar takes is the difference of the least of each: whatever else the editor or the machine does in a round only
 * adds to it, and that is more than what is looked for.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { launch } from '../test/editor/chromium'
import { Editor } from '../test/editor/editor'
import { type Json, Runtime } from '../test/runtime/harness'
import { median } from './lib/figures'

const ROUNDS = 5
/** On a slow disk, each write takes its time. */
const FILLED_MS = 120_000
const ROUND_MS = Number(process.env.MILLRACE_BENCH_MS ?? 20_000)
/** Connections, queues of tasks, namespaces of documents. */
const TITLES = ['Connections', 'Tasks', 'Memory']
const OTHER = 'another tab'
const ITEMS = { connections: 400, queues: 300, namespaces: 300 }

const { queues, namespaces } = ITEMS
const fill = `
for (let n = 0; n < ${namespaces}; n += 1) node.send([null, { namespace: 'space-' + n, topic: 'key', payload: { n } }])
node.send([{ topic: 'any', payload: 0 }])
`
/** What is live: one of each, each second. */
const change = `
const n = (context.get('n') ?? 0) + 1
context.set('n', n)
const sent = Array(${queues + 1}).fill(null)
sent[n % ${queues}] = { topic: 'any', payload: n }
sent[${queues}] = { namespace: 'space-' + (n % ${namespaces}), topic: 'key', payload: { n } }
return sent
`

function flow(): Json[] {
  const inject = { type: 'inject', props: [{ p: 'payload' }], once: true, onceDelay: 0.1 }
  const place = { namespaceType: 'msg', namespace: 'namespace', keyType: 'msg', key: 'topic' }
  // Where the editor does not draw them.
  const sends = Array.from({ length: queues }, (_, n) => {
    const place = { z: 'sends', x: 200, y: 40 * n }
    return { id: `s${n}`, type: 'millrace-tasks-send', broker: 'broker', queue: `queue-${n}`, ...place, wires: [[]] }
  })
  const nodes: Record<string, Json> = {
    start: { ...inject, wires: [['fill']] },
    fill: { type: 'function', func: fill, outputs: 2, wires: [sends.map(({ id }) => id), ['write']] },
    second: { ...inject, repeat: '1', wires: [['change']] },
    change: { type: 'function', func: change, outputs: queues + 1, wires: [...sends.map(({ id }) => [id]), ['write']] },
    write: { type: 'millrace-memory-write', store: 'store', ...place, wires: [[], []] },
  }
  const embedder = { type: 'millrace-memory-embedder', url: 'http://127.0.0.1:9/v1', model: 'any' }
  return [
    { id: 'tab', type: 'tab', label: 'live' },
    { id: 'sends', type: 'tab', label: 'sends' },
    { id: 'broker', type: 'millrace-tasks-broker', path: 'sidebar' },
    { id: 'store', type: 'millrace-memory-store', path: 'sidebar-memory' },
    ...Array.from({ length: ITEMS.connections }, (_, n) => ({ id: `c${n}`, name: `embedder ${n}`, ...embedder })),
    ...sends,
    ...Object.entries(nodes).map(([id, node], at) => ({ id, z: 'tab', x: 200, y: 60 * at + 60, ...node })),
  ]
}

interface Took {
  page: number
  server: number
}

async function main(): Promise<void> {
  const settings = 'editorTheme: { tours: false, palette: { catalogues: [] } },'
  const [runtime, browser] = await Promise.all([Runtime.boot({ settings }), launch()])
  try {
    const editor = await Editor.open(browser, runtime)
    // So many config nodes take the editor a while.
    editor.page.setDefaultTimeout(FILLED_MS)
    await editor.load(flow())
    const session = await editor.page.context().newCDPSession(editor.page)
    await session.send('Performance.enable')
    const cpu = async (): Promise<Took> => {
      const { metrics } = await session.send('Performance.getMetrics')
      const page = metrics.find(({ name }) => name === 'ProcessTime')?.value ?? Number.NaN
      return { page: page * 1000, server: await runtime.ask<number>('cpu') }
    }
    const measure = async (): Promise<Took> => {
      // What is drawn at first is no matter.
      await wait(ROUND_MS / 4)
      const [before, begun] = [await cpu(), performance.now()]
      await wait(ROUND_MS)
      const [after, took] = [await cpu(), performance.now() - begun]
      return { page: (after.page - before.page) / took, server: (after.server - before.server) / took }
    }
    const section = (title: string) =>
      editor.page.locator('.millrace-section', { has: editor.page.locator('summary', { hasText: title }) })
    const show = (title: string) => section(title).evaluate((element) => element.scrollIntoView())
    await editor.act('millrace:show-sidebar')
    await section('Connections').getByText('and 352 more').waitFor()
    await show('Tasks')
    await section('Tasks')
      .getByText(/and \d+ more/)
      .first()
      .waitFor()
    await show('Memory')
    await section('Memory')
      .locator('[data-key=keys] b', { hasText: String(ITEMS.namespaces) })
      .waitFor()

    const rounds: Record<string, Took>[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      await editor.act('core:show-info-tab')
      const took: Record<string, Took> = { [OTHER]: await measure() }
      await editor.act('millrace:show-sidebar')
      for (const title of TITLES) {
        await show(title)
        took[title] = await measure()
      }
      rounds.push(took)
    }
    const percents = (title: string, part: 'page' | 'server') =>
      rounds.map((round) => (round[title]?.[part] ?? Number.NaN) * 100)
    const shown = (all: number[]) =>
      `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)})`
    console.log(`1,000 items, ${ROUNDS} × ${ROUND_MS / 1000} s, % of a core, median (least–most)`)
    for (const part of ['page', 'server'] as const) {
      const others = percents(OTHER, part)
      console.log(`  ${part.padEnd(7)} ${OTHER} ${shown(others)}`)
      for (const title of TITLES) {
        const all = percents(title, part)
        const more = (Math.min(...all) - Math.min(...others)).toFixed(2)
        console.log(`  ${part.padEnd(7)} ${title.padEnd(11)} ${shown(all)}, more ${more}`)
      }
    }
  } finally {
    await browser.close()
    await runtime.remove()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
