/**
 * What the sidebar costs while it shows 1,000 items that change each second: the page's own process, and Node-RED. Each beside
 * the same flow while another tab of the sidebar is shown; the difference is what the sidebar takes.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { launch } from '../test/editor/chromium'
import { Editor } from '../test/editor/editor'
import { type Json, Runtime } from '../test/runtime/harness'
import { median } from './lib/figures'

const ROUNDS = 3
/** On a slow disk, each write takes its time. */
const FILLED_MS = 120_000
const ROUND_MS = Number(process.env.MILLRACE_BENCH_MS ?? 20_000)
/** Connections, queues of tasks, namespaces of documents. */
const ITEMS = { connections: 400, queues: 300, namespaces: 300 }

const fill = `
const { queues, namespaces } = ${JSON.stringify(ITEMS)}
for (let n = 0; n < queues; n += 1) node.send([{ topic: 'any', queue: 'queue-' + n, payload: n }])
for (let n = 0; n < namespaces; n += 1) node.send([null, { namespace: 'space-' + n, topic: 'key', payload: { n } }])
`
/** What is live: one of each, each second. */
const change = `
const n = (context.get('n') ?? 0) + 1
context.set('n', n)
const { queues, namespaces } = ${JSON.stringify(ITEMS)}
return [{ topic: 'any', queue: 'queue-' + (n % queues), payload: n }, { namespace: 'space-' + (n % namespaces), topic: 'key', payload: { n } }]
`

function flow(): Json[] {
  const inject = { type: 'inject', props: [{ p: 'payload' }], once: true, onceDelay: 0.1 }
  const place = { namespaceType: 'msg', namespace: 'namespace', keyType: 'msg', key: 'topic' }
  const nodes: Record<string, Json> = {
    start: { ...inject, wires: [['fill']] },
    fill: { type: 'function', func: fill, outputs: 2, wires: [['send'], ['write']] },
    second: { ...inject, repeat: '1', wires: [['change']] },
    change: { type: 'function', func: change, outputs: 2, wires: [['send'], ['write']] },
    send: { type: 'millrace-tasks-send', broker: 'broker', wires: [[]] },
    write: { type: 'millrace-memory-write', store: 'store', ...place, wires: [[], []] },
  }
  const embedder = { type: 'millrace-memory-embedder', url: 'http://127.0.0.1:9/v1', model: 'any' }
  return [
    { id: 'tab', type: 'tab', label: 'live' },
    { id: 'broker', type: 'millrace-tasks-broker', path: 'sidebar' },
    { id: 'store', type: 'millrace-memory-store', path: 'sidebar-memory' },
    ...Array.from({ length: ITEMS.connections }, (_, n) => ({ id: `c${n}`, name: `embedder ${n}`, ...embedder })),
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
    const measure = async (action: string): Promise<Took> => {
      await editor.act(action)
      // What is drawn at first is no matter.
      await wait(ROUND_MS / 4)
      const [before, begun] = [await cpu(), performance.now()]
      await wait(ROUND_MS)
      const [after, took] = [await cpu(), performance.now() - begun]
      return { page: (after.page - before.page) / took, server: (after.server - before.server) / took }
    }
    await editor.act('millrace:show-sidebar')
    const section = (title: string) =>
      editor.page.locator('.millrace-section', { has: editor.page.locator('summary', { hasText: title }) })
    await section('Connections').getByText('and 352 more').waitFor()
    await section('Memory')
      .locator('[data-key=keys] b', { hasText: String(ITEMS.namespaces) })
      .waitFor()

    const rounds: { shown: Took; other: Took }[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const other = await measure('core:show-info-tab')
      rounds.push({ other, shown: await measure('millrace:show-sidebar') })
    }
    const percent = (of: (round: (typeof rounds)[number]) => number) => {
      const all = rounds.map((round) => of(round) * 100)
      return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)})`
    }
    console.log(`1,000 items, ${ROUNDS} × ${ROUND_MS / 1000} s, % of a core, median (least–most)`)
    for (const part of ['page', 'server'] as const) {
      const shown = percent(({ shown }) => shown[part])
      const other = percent(({ other }) => other[part])
      const more = percent(({ shown, other }) => shown[part] - other[part])
      console.log(`  ${part.padEnd(7)} sidebar ${shown}, another tab ${other}, more ${more}`)
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
