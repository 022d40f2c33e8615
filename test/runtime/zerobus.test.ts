/** What a table's spool took arrives, though Zerobus is away and Node-RED is killed. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endAll, idsOf, sentAgain, start, table } from '../zerobus/rig'
import { type Json, Runtime, readJson, root } from './harness'

const columns = [
  { name: 'id', type: 'int64', nullable: false },
  { name: 'value', type: 'float64', nullable: true },
]

describe('a Zerobus table', () => {
  let runtime: Runtime
  afterEach(async () => {
    await runtime.remove()
    await endAll()
  })

  it('loses nothing that its spool took, over an outage and kill -9 of Node-RED', async function () {
    this.timeout(120_000)
    const server = await start()
    server.away = true
    const { clientId, clientSecret, endpoint, unityCatalogUrl } = server.config(table)
    const func = `const at = global.get('clock')()
return { payload: [0, 1, 2].map((more) => ({ id: at * 3 + more, value: more })) }`
    const flow = (): Json[] =>
      [
        { id: 'tab', type: 'tab', label: 'outage' },
        {
          ...{ id: 'table', type: 'millrace-arrow-zerobus-table', endpoint, unityCatalogUrl, table, columns },
          ...{ spool: true, maxDelayMs: 100, credentials: { clientId, clientSecret } },
        },
        {
          id: 'tick',
          z: 'tab',
          type: 'inject',
          props: [],
          repeat: '0.01',
          once: true,
          onceDelay: '0',
          wires: [['rows']],
        },
        { id: 'rows', z: 'tab', type: 'function', func, outputs: 1, wires: [['send']] },
        { id: 'send', z: 'tab', type: 'millrace-arrow-zerobus', table: 'table', wires: [['end'], ['end']] },
        { id: 'end', z: 'tab', type: 'junction', wires: [[]] },
      ].map((node) => ('z' in node ? { x: 0, y: 0, ...node } : node))
    // Numbers of this life begin behind those of the last.
    const clock = `let at = 100000 * (Number(require('fs').existsSync(__dirname + '/again')) + 1)`
    const settings = `functionGlobalContext: { clock: (() => { ${clock}; return () => at++ })() },`
    runtime = await Runtime.boot({ settings })
    await runtime.deploy(flow())
    await runtime.untilSent('send', 0, 30)
    await runtime.deploy(flow())
    await runtime.untilSent('send', 0, 30)
    await runtime.end('SIGKILL')
    assert.equal(server.count(table), 0)
    writeFileSync(join(runtime.userDir, 'again'), '')
    server.away = false
    await runtime.start()
    await runtime.untilSent('send', 0, 30)
    const accepted = runtime.sent
      .filter(({ node, port }) => node === 'send' && port === 0)
      .flatMap(({ payload }) => (payload as { id: number }[]).map(({ id }) => id))
    assert.ok(accepted.length >= 270 && accepted.some((id) => id < 600_000) && accepted.some((id) => id >= 600_000))
    const missing = () => {
      const kept = new Set(idsOf(server))
      return accepted.filter((id) => !kept.has(id))
    }
    await runtime.until('all have arrived', () => missing().length === 0)
    assert.deepEqual(sentAgain(server), [])
    assert.ok(runtime.sent.every(({ node, port }) => node !== 'send' || port === 0))
  })

  it('ends nothing where no endpoint answers: the examples take rows, or say that they did not arrive', async function () {
    this.timeout(120_000)
    runtime = await Runtime.boot()
    for (const [example, output] of [
      ['sensor-to-zerobus', 1],
      ['zerobus-outage', 0],
    ] as const) {
      const text = JSON.stringify(readJson(join(root, `examples/arrow/${example}.json`)))
      // Where nothing listens.
      const flows = JSON.parse(text.replaceAll(/127\.0\.0\.1:448[01]/g, '127.0.0.1:9')) as Json[]
      await runtime.deploy(flows)
      const send = flows.find(({ type }) => type === 'millrace-arrow-zerobus')
      await runtime.untilSent(String(send?.id), output)
    }
    // What is on its way without a spool when its flow is taken away says so, too.
    assert.deepEqual(
      runtime.failed.filter(({ code }) => code !== 'CLOSED'),
      [],
    )
  })
})
