/** Tasks that a node accepted are done, each with one result, though Node-RED is killed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { tasks } from '../../nodes'
import { Runtime } from './harness'

const KILLS = 3

describe('a queue of tasks', () => {
  it('each one that was accepted ends once, with its own result, over kill -9 of Node-RED', async () => {
    const later = 'setTimeout(() => node.send({ ...msg, payload: msg.payload * 2 }), msg.payload % 40)'
    const runtime = await Runtime.boot({
      settings: 'functionGlobalContext: { process },',
      flows: [
        { id: 'tab', type: 'tab', label: 'queue' },
        { id: 'broker', type: 'millrace-tasks-broker', path: 'queue' },
        { id: 'tick', z: 'tab', type: 'inject', props: [], repeat: '0.01', once: true, onceDelay: '0', wires: [['n']] },
        {
          ...{ id: 'n', z: 'tab', type: 'function', outputs: 1, wires: [['send']] },
          func: `const n = (context.get('n') || global.get('process').pid * 1000) + 1
context.set('n', n)
return { payload: n }`,
        },
        { id: 'send', z: 'tab', type: 'millrace-tasks-send', broker: 'broker', task: 'twice', wires: [['end']] },
        {
          ...{ id: 'worker', z: 'tab', type: 'millrace-tasks-worker', broker: 'broker', tasks: 'twice' },
          ...{ concurrency: 20, wires: [['work'], []] },
        },
        { id: 'work', z: 'tab', type: 'function', func: later, outputs: 1, wires: [['done']] },
        { id: 'done', z: 'tab', type: 'millrace-tasks-done', wires: [['end']] },
        { id: 'end', z: 'tab', type: 'junction', wires: [[]] },
      ].map((node) => (node.type === 'tab' || node.id === 'broker' ? node : { x: 0, y: 0, ...node })),
    })
    try {
      for (let kill = 0; kill < KILLS; kill += 1) {
        await runtime.untilSent('send', 0, 40)
        await runtime.end('SIGKILL')
        await runtime.start()
      }
      await runtime.untilSent('send', 0, 40)
      // Now nothing more is sent; what is there is done.
      await runtime.end()
      const accepted = runtime.sent.filter(({ node, port }) => node === 'send' && port === 0)
      assert.ok(accepted.length >= 40 * (KILLS + 1), `${accepted.length}`)
      const app = await tasks.connect({ path: join(runtime.userDir, 'queue') })
      app.task('twice', async (n: number) => n * 2)
      const worker = app.worker({ tasks: ['twice'] })
      await worker.start()
      const events = app.events()
      const open = async () => Object.values(await app.control.count()).some((count) => count > 0)
      while (await open()) await events.next()
      const results = new Map<unknown, number>()
      for await (const { id } of succeeded(app)) {
        const { result } = await app.result(id).info()
        results.set(result, (results.get(result) ?? 0) + 1)
      }
      for (const { payload } of accepted) assert.equal(results.get(Number(payload) * 2), 1, `task ${payload}`)
      await worker.stop()
      await app.close()
    } finally {
      await runtime.remove()
    }
  })
})

async function* succeeded(app: Awaited<ReturnType<typeof tasks.connect>>) {
  let after: string | null | undefined
  do {
    const page = await app.control.list({ state: 'success', ...(after && { after }) })
    yield* page.tasks
    after = page.next
  } while (after)
}
