/** The frame, with nodes that fail in every way that a node can. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import { defineConfig, number, text } from '../../nodes/shared/config'
import { EngineError } from '../../nodes/shared/errors'
import { defineNode, type Host, type NodeSpec } from '../../nodes/shared/node'
import { resolve } from '../../nodes/shared/settings'

const config = defineConfig({
  type: 'sample',
  version: 1,
  fields: { name: text(), size: number(1, { min: 0, max: 9 }) },
})
type Fields = (typeof config)['fields']
type Spec = Omit<NodeSpec<Fields, Host<Fields>>, 'config' | 'open'> & Partial<NodeSpec<Fields, Host<Fields>>>
// biome-ignore lint/suspicious/noExplicitAny: nodes and messages have any form
type Any = any

describe('the frame of a node', () => {
  let said: EventEmitter
  let shown: Any[]
  let logged: Any[]
  let api: NodeAPI
  afterEach(async () => {
    await helper.unload()
  })

  async function start(spec: Spec, saved: object = {}): Promise<Any> {
    said = new EventEmitter()
    shown = []
    logged = []
    const wrapped = (RED: NodeAPI) => {
      api = RED
      const nodes = Object.create(RED.nodes)
      nodes.createNode = (node: Any, saved: Any) => {
        RED.nodes.createNode(node, saved)
        node.status = (status: Any) => shown.push(status)
        node.error = (error: Any, message: Any) => (message ? said.emit('failed', error) : logged.push(error))
        node.warn = (text: Any) => said.emit('warned', text)
      }
      defineNode(Object.assign(Object.create(RED), { nodes }), { config, open: (host) => host, ...spec })
    }
    const place = { z: 'tab', x: 0, y: 0 }
    const flow = [
      {
        id: 'tab',
        type: 'tab',
        env: [
          { name: 'N', value: '7', type: 'num' },
          { name: 'HOST', value: 'mill', type: 'str' },
        ],
      },
      { id: 'n', type: 'sample', ...place, wires: [['end'], []], ...saved },
      { id: 'end', type: 'helper', ...place, wires: [] },
    ]
    await helper.load([wrapped as never], flow as never)
    return helper.getNode('n')
  }

  async function failure(node: Any): Promise<EngineError> {
    const failed = once(said, 'failed')
    node.receive({})
    return (await failed)[0]
  }

  const boom = () => new Error('boom')
  const ways: [title: string, input: NonNullable<Spec['input']>][] = [
    [
      'throws',
      () => {
        throw boom()
      },
    ],
    [
      'rejects',
      async () => {
        throw boom()
      },
    ],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['answers with an error', (_host, _message, reply) => reply.done(boom())],
  ]
  for (const [title, input] of ways) {
    it(`a handler that ${title} is an error of its message, shown red`, async () => {
      const error = await failure(await start({ input }))
      assert.deepEqual([error.code, shown.at(-1)], ['INTERNAL', { fill: 'red', shape: 'ring', text: 'error.INTERNAL' }])
    })
  }

  it('an expected error keeps its code, and the status its text', async () => {
    const input = () => {
      throw new EngineError('LATE', 'late')
    }
    const error = await failure(await start({ input }))
    assert.equal(error.code, 'LATE')
    assert.deepEqual(shown, [])
  })

  it('only the first answer counts', async () => {
    const node = await start({
      input: (_host, message, reply) => {
        reply.send(message)
        reply.done()
        reply.done(boom())
        throw boom()
      },
    })
    let failures = 0
    said.on('failed', () => {
      failures += 1
    })
    const end = once(helper.getNode('end') as Any, 'input')
    node.receive({ payload: 5 })
    assert.equal((await end)[0].payload, 5)
    assert.equal(failures, 0)
  })

  it('what cannot open is logged once, shown, and fails every message', async () => {
    const open = () => {
      throw new EngineError('BUFFER_FULL', 'no room')
    }
    const node = await start({ open: open as never })
    for (let n = 0; n < 3; n += 1) assert.equal((await failure(node)).code, 'BUFFER_FULL')
    assert.deepEqual(logged, ['no room'])
    // Yellow: it may pass by itself.
    assert.deepEqual(shown, [{ fill: 'yellow', shape: 'ring', text: 'error.BUFFER_FULL' }])
  })

  it('a timer that fails shows it, and ends nothing', async () => {
    let run = () => {}
    await start({
      open: (host) => {
        run = host.guard(() => {
          throw boom()
        })
        return host
      },
    })
    run()
    assert.equal(logged.length, 1)
    assert.deepEqual(shown, [{ fill: 'red', shape: 'ring', text: 'error.INTERNAL' }])
  })

  it('close is awaited, and what it throws is a warning', async () => {
    let released = false
    const node = await start({
      close: async () => {
        await new Promise((resolve) => setImmediate(resolve))
        released = true
        throw boom()
      },
    })
    const warned = once(said, 'warned')
    await node.close(false)
    assert.ok(released)
    await warned
  })

  it('variables become values of their kind', async () => {
    const node = await start({}, { size: `\${N}`, name: `\${HOST}` })
    assert.ok(node)
    assert.deepEqual(logged, [])
    const cases: [value: unknown, resolved: unknown][] = [
      [`\${N}`, 7],
      [`nats://\${HOST}:\${N}`, 'nats://mill:7'],
      [[{ topic: `/\${HOST}/x`, n: 5 }], [{ topic: '/mill/x', n: 5 }]],
      [`\${NOT_SET_ANYWHERE}`, ''],
      ['plain', 'plain'],
      ['a${b', 'a${b'],
      [`\${"a": 1}`, `\${"a": 1}`],
      [null, null],
      [5, 5],
      [true, true],
    ]
    for (const [value, resolved] of cases) assert.deepEqual(resolve(api, node, value), resolved)
  })
})
