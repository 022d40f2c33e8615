import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCodes } from '../../nodes/shared/errors'
import { generator } from '../shared/random'
import { examples, type Json, nodeTypes, Runtime, readJson, root } from './harness'

const seed = Number(process.env.MILLRACE_SEED ?? 20261121)
const total = process.env.MILLRACE_LONG ? 100_000 : 10_000

const read = (example: string) => readJson(join(root, `examples/${example}.json`)) as unknown as Json[]

/** Types with an input, as their pages say. */
const takers = nodeTypes.flatMap(([type, file]) => {
  const page = readFileSync(join(root, file.replace(/\.js$/, '.html')), 'utf8')
  return /^ {2}inputs: 1,$/m.test(page) ? [type] : []
})

/** Those that no example has, or has with what is not here: nobody answers at port 9. */
const more: Json[] = [
  { type: 'millrace-action-redis', hosts: '127.0.0.1:9', accept: 'any', retries: 0, timeoutMs: 500 },
  { type: 'millrace-action-kafka', brokers: '127.0.0.1:9', accept: 'any', retries: 0, timeoutMs: 500 },
  { type: 'millrace-ros2-bag', path: 'millrace:camera-lidar-imu.mcap', start: 'message', loop: true },
  { type: 'millrace-ros2-bag', mode: 'record', path: 'fuzz/any.mcap', start: 'message' },
].map((node, place) => ({ id: `more${place}`, z: 'fuzz', x: 0, y: 0, ...node, wires: [['nothing'], ['nothing']] }))

describe('messages of any kind', () => {
  let runtime: Runtime
  before(async () => {
    const tools = `make: require(${JSON.stringify(join(__dirname, 'mutations.cjs'))}), generator: ${generator}`
    runtime = await Runtime.boot({ settings: `functionGlobalContext: { ${tools} },` })
  })
  after(() => runtime.remove())

  it(`end nothing, and each failure has a code (${total} messages, seed ${seed})`, async function () {
    this.timeout(600_000)
    const flows = examples.flatMap(read)
    const reached = new Set(flows.flatMap(({ wires }) => ((wires as string[][] | undefined) ?? []).flat()))
    const examined = flows.filter(({ id, type, d }) => !d && reached.has(`${id}`) && `${type}`.startsWith('millrace-'))
    const targets = [...examined, ...more]
    assert.deepEqual([...new Set(targets.map(({ type }) => type))].sort(), [...takers].sort())
    const func = `
      const [make, random] = [global.get('make'), global.get('generator')(${seed})]
      for (let count = 0; count < ${total}; count += 1) {
        const outputs = []
        outputs[Math.floor(random() * ${targets.length})] = make(random)
        node.send(outputs, false)
        if (count % 20 === 0) await new Promise((go) => setTimeout(go, 0))
      }
      node.status({ text: {}.polluted === undefined ? 'all are sent' : 'polluted' })`
    const base = { z: 'fuzz', x: 0, y: 0 }
    await runtime.deploy([
      ...flows,
      { id: 'fuzz', type: 'tab', label: 'fuzz' },
      ...more,
      { ...base, id: 'nothing', type: 'junction', wires: [[]] },
      { ...base, id: 'go', type: 'inject', once: true, onceDelay: '0.2', props: [], wires: [['maker']] },
      { ...base, id: 'maker', type: 'function', func, outputs: targets.length, wires: targets.map(({ id }) => [id]) },
    ])
    const end = () => runtime.statuses.find(({ node }) => node === 'maker')
    await runtime.until('all are sent', () => end() !== undefined, 200_000)
    assert.equal(end()?.text, 'all are sent')

    // It goes on as if nothing had been.
    await runtime.deploy(read('tour'))
    const sync = read('tour').find(({ type }) => type === 'millrace-sync')
    await runtime.untilSent(String(sync?.id), 0, 3)
    const ours = new Map(targets.map(({ id, type }) => [`${id}`, `${type}`]))
    const failures = runtime.failed.filter(({ node }) => ours.has(node))
    assert.ok(new Set(failures.map(({ code }) => code)).size > 3)
    const odd = failures.filter(({ code }) => code === 'INTERNAL' || !errorCodes.includes(code as never))
    assert.deepEqual([...new Set(odd.map(({ node, code }) => `${ours.get(node)}: ${code}`))], [])
    assert.doesNotMatch(runtime.log, /panicked|UnhandledPromiseRejection/)
  })
})
