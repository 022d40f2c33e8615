/** What a node took into its outbox arrives, though Node-RED is killed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Runtime } from './harness'

describe('a durable outbox', () => {
  it('what was accepted arrives in its order, at least once, over kill -9 of Node-RED', async () => {
    const arrived: string[] = []
    let up = false
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (part) => {
        body += part
      })
      request.on('end', () => {
        if (up) arrived.push(JSON.parse(body))
        response.writeHead(up ? 200 : 503).end()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const func = `const at = (context.get('at') || 0) + 1
context.set('at', at)
return { topic: 's' + at % 3, payload: process.pid + ' ' + at }`
    const runtime = await Runtime.boot({
      settings: 'functionGlobalContext: { process },',
      flows: [
        { id: 'tab', type: 'tab', label: 'outage' },
        { id: 'tick', z: 'tab', type: 'inject', props: [], repeat: '0.01', once: true, onceDelay: '0', wires: [['n']] },
        {
          id: 'n',
          z: 'tab',
          type: 'function',
          func: func.replaceAll('process', "global.get('process')"),
          outputs: 1,
          wires: [['http']],
        },
        {
          ...{ id: 'http', z: 'tab', type: 'millrace-action-http', accept: 'any', body: 'data', durable: true },
          ...{ url: `http://127.0.0.1:${port}/`, maxBackoffMs: 50, breakAfter: '', wires: [['end'], ['end']] },
        },
        { id: 'end', z: 'tab', type: 'junction', wires: [[]] },
      ].map((node) => (node.type === 'tab' ? node : { x: 0, y: 0, ...node })),
    })
    try {
      await runtime.untilSent('http', 0, 100)
      await runtime.end('SIGKILL')
      // What was accepted in the down time of the other side, and what is accepted after the restart.
      up = true
      await runtime.start()
      await runtime.untilSent('http', 0, 20)
      const accepted = runtime.sent.filter(({ node, port }) => node === 'http' && port === 0)
      const wanted = accepted.map(({ payload }) => String(payload))
      await runtime.until('all have arrived', () => wanted.every((payload) => arrived.includes(payload)))
      const pids = new Set(wanted.map((payload) => payload.split(' ')[0]))
      assert.equal(pids.size, 2)
      assert.ok(runtime.sent.every(({ node, port }) => node !== 'http' || port === 0))
      for (const rest of [0, 1, 2]) {
        const own = wanted.filter((payload) => Number(payload.split(' ')[1]) % 3 === rest)
        const first = [...new Set(arrived)].filter((payload) => own.includes(payload))
        assert.deepEqual(first, own)
      }
    } finally {
      await runtime.remove()
      server.closeAllConnections()
      server.close()
    }
  })
})
