import assert from 'node:assert/strict'
import { busyFlow, type Json, Runtime } from './harness'

const label = (flows: Json[], text: string) =>
  flows.map((node) => (node.type === 'tab' ? { ...node, info: text } : node))

describe('a node in a running Node-RED', () => {
  let runtime: Runtime
  beforeEach(async () => {
    runtime = await Runtime.boot({ flows: busyFlow() })
    await runtime.untilSent('sync', 0)
  })
  afterEach(() => runtime.remove())

  it('keeps running through deploys of each kind', async () => {
    for (const kind of ['full', 'flows', 'nodes', 'reload'] as const) {
      await runtime.deploy(busyFlow({ name: kind }), kind)
      await runtime.untilSent('sync', 0, 2)
    }
    // This one leaves the node alone: messages flow on in the old one.
    await runtime.deploy(label(busyFlow({ name: 'reload' }), 'changed'), 'nodes')
    await runtime.untilSent('sync', 0, 2)
    assert.deepEqual(runtime.complaints(), [])
  })

  it('leaves no timer and no handle behind by deploys', async () => {
    const held = { maxDelayMs: 60_000, windowMs: 1000 }
    await runtime.deploy(busyFlow({ ...held, name: 'first' }))
    await runtime.untilSent('sync', 0)
    const kinds = (resources: string[]) =>
      resources.filter((kind) => !/TCP|Immediate|FSReq|PipeWrap|Timeout/.test(kind))
    const before = kinds(await runtime.ask<string[]>('resources'))
    for (let turn = 0; turn < 20; turn += 1) {
      await runtime.deploy(busyFlow({ ...held, name: `turn ${turn}` }), turn % 2 ? 'full' : 'nodes')
    }
    await runtime.untilSent('sync', 0)
    // A node has a check for stalls, a pause between two states, and a wait for its next group.
    assert.ok((await runtime.ask<number>('timers')) <= 3)
    assert.deepEqual(kinds(await runtime.ask<string[]>('resources')), before)
    await runtime.deploy([])
    assert.equal(await runtime.ask<number>('timers'), 0)
  })

  it('ends with Node-RED, under load, within the time that a process manager gives', async () => {
    const closed = AbortSignal.timeout(8000)
    assert.deepEqual(await runtime.end('SIGTERM'), { code: 0, signal: null })
    assert.equal(closed.aborted, false)
  })

  it('runs again after a kill', async () => {
    await runtime.end('SIGKILL')
    await runtime.start()
    await runtime.untilSent('sync', 0, 2)
    assert.deepEqual(runtime.complaints(), [])
  })

  it('survives every failure of its messages', async () => {
    const wrong = `return [[
      { payload: 1 }, { topic: {} }, { topic: 'a' }, { topic: 'a', timestamp: 'noon' }, { topic: 'x', timestamp: 1 },
      { topic: 'a', timestamp: 1n << 70n }, { sync: { windowMs: -1 } }, { sync: { match: {} } },
      { topic: Symbol('a'), timestamp: 1 }, { topic: 'a', timestamp: { sec: 1e300, nanosec: -5 } },
    ]]`
    const flows = busyFlow({ wires: [['end'], []] }).map((node) =>
      node.id === 'clock' ? { ...node, func: wrong } : node,
    )
    await runtime.deploy(flows)
    await runtime.until('all have failed', () => runtime.failed.length >= 20)
    const codes = new Set(runtime.failed.map(({ code }) => code))
    assert.deepEqual([...codes].sort(), ['INVALID_INPUT', 'INVALID_OPTION', 'INVALID_TIMESTAMP', 'UNKNOWN_TOPIC'])
    await runtime.deploy(busyFlow())
    await runtime.untilSent('sync', 0)
  })
})

describe('Node-RED where the native binary is missing', () => {
  let runtime: Runtime
  before(async () => {
    const sync = busyFlow()[3] as Json
    const flows = ['first', 'second'].map((id) => ({ ...sync, id, wires: [[], []] }))
    runtime = await Runtime.boot({ binary: false, flows: [{ id: 'tab', type: 'tab' }, ...flows] })
  })
  after(() => runtime.remove())

  it('starts, and says once what to do', async () => {
    const lines = runtime.complaints()
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /install @millrace\/node-red again/)
  })

  it('shows at every node that the engine is missing, in words', () => {
    const shown = { fill: 'red', shape: 'ring', text: 'no native engine' }
    for (const node of ['first', 'second']) {
      assert.deepEqual(
        runtime.statuses.filter((status) => status.node === node),
        [{ node, ...shown }],
      )
    }
  })

  it('fails every message with NATIVE_MISSING', async () => {
    await runtime.deploy(busyFlow())
    await runtime.until('messages have failed', () => runtime.failed.length > 2)
    assert.deepEqual([...new Set(runtime.failed.map(({ code }) => code))], ['NATIVE_MISSING'])
  })
})
