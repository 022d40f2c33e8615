import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { ZerobusServer } from '../zerobus/server'
import { standIn } from '../zerobus/stand-in'
import { examples, type Json, Runtime, readJson, root } from './harness'

const flowsOf = (example: string) => readJson(join(root, `examples/${example}.json`)) as unknown as Json[]
/** Nodes that fail on purpose, as an example shows what a Catch node does then. */
const rescued = new Set(examples.flatMap(flowsOf).flatMap(({ type, scope }) => (type === 'catch' ? scope : [])))

describe('every example', () => {
  let runtime: Runtime
  let zerobus: ZerobusServer | undefined
  before(async () => {
    zerobus = await standIn()
    runtime = await Runtime.boot()
  })
  after(async () => {
    await runtime.remove()
    await zerobus?.stop()
  })

  for (const example of examples) {
    it(`${example} deploys, and each of our nodes in it sends what it is there for`, async () => {
      const flows = flowsOf(example)
      // Config nodes have no wires; what needs a server is disabled.
      const own = flows.filter((node) => String(node.type).startsWith('millrace-') && node.wires && !node.d)
      assert.ok(own.length > 0)
      const before = runtime.sent.length
      await runtime.deploy(flows)
      // What leaves through the second output is not the point of each example.
      for (const { id, name } of own.filter(({ wires }) => (wires as string[][])[0]?.length)) {
        const hasSent = () => runtime.sent.slice(before).some(({ node, port }) => node === id && port === 0)
        await runtime.until(`${name || id} has sent`, hasSent)
      }
      const failed = runtime.failed.filter(({ node }) => !rescued.has(node))
      // Each deploy takes the flow before away while rows wait in it.
      const complaints = runtime.complaints().filter((line) => !/nobody hears the last \d+ rows/.test(line))
      assert.deepEqual([...complaints, ...failed], [])
    })
  }
})
