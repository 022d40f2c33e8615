/** Deploys of a context and its nodes in a real Node-RED leave nothing behind. MILLRACE_LONG makes it a hundred. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { type Json, Runtime } from '../runtime/harness'
import { ros2Suite } from './rig'

const long = process.env.MILLRACE_LONG === '1'
const DEPLOYS = long ? 100 : 20
const WARM_UP = 5
const TEXT = 'std_msgs/msg/String'

/** Each is another ROS node, so that the context is closed and opened. */
function flows(turn: number): Json[] {
  const func = "return { payload: { data: 'tick' } }"
  return [
    { id: 'tab', type: 'tab' },
    { id: 'ctx', type: 'millrace-ros2-context', domain: '159', discovery: 'localhost', nodeName: `turn_${turn}` },
    { id: 'tick', z: 'tab', type: 'inject', props: [], repeat: '0.05', once: true, onceDelay: '0', wires: [['func']] },
    { id: 'func', z: 'tab', type: 'function', func, outputs: 1, wires: [['out']] },
    { id: 'out', z: 'tab', type: 'millrace-ros2-out', context: 'ctx', topic: '/t', messageType: TEXT, wires: [] },
    { id: 'in', z: 'tab', type: 'millrace-ros2-in', context: 'ctx', topic: '/t', messageType: TEXT, wires: [['end']] },
    { id: 'end', z: 'tab', type: 'junction', wires: [[]] },
  ].map((node) => ('z' in node ? { x: 0, y: 0, ...node } : node))
}

ros2Suite('deploys', function () {
  this.timeout(long ? 240_000 : 90_000)

  it(`${DEPLOYS} of them leave no thread, socket, file, timer or memory behind`, async function () {
    if (process.platform !== 'linux') this.skip()
    const runtime = await Runtime.boot({ flows: flows(0) })
    try {
      const pid = runtime.process.pid as number
      const count = (folder: string) => readdirSync(`/proc/${pid}/${folder}`).length
      const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
      await runtime.untilSent('in', 0, 2)
      const look = async () => ({
        threads: count('task'),
        files: count('fd'),
        timers: await runtime.ask<number>('timers'),
        rss: rss(),
      })
      const turn = async (number: number) => {
        await runtime.deploy(flows(number))
        await runtime.untilSent('in', 0, 2)
      }
      for (let number = 1; number <= WARM_UP; number += 1) await turn(number)
      const before = await look()
      const trend: number[] = []
      for (let number = 1; number <= DEPLOYS; number += 1) {
        await turn(100 + number)
        if (number % (DEPLOYS / 10) === 0) trend.push(Math.round(rss()))
      }
      const after = await look()
      console.log(`      ${JSON.stringify({ before, after })}, MB: ${trend.join(' ')}`)
      // The runtime's own come and go; what a deploy leaves behind would be there once a deploy, or more.
      assert.ok(after.threads < before.threads + DEPLOYS / 4, `${before.threads} threads became ${after.threads}`)
      assert.ok(after.files < before.files + DEPLOYS / 4, `${before.files} files became ${after.files}`)
      assert.ok(after.timers <= before.timers + 2, `${before.timers} timers became ${after.timers}`)
      assert.ok(after.rss < before.rss + 60, `${before.rss} MB became ${after.rss}`)
      assert.doesNotMatch(runtime.log, /MaxListenersExceeded/)
      assert.deepEqual(runtime.complaints(), [])
      await runtime.deploy([])
      assert.equal(await runtime.ask<number>('timers'), 0)
    } finally {
      await runtime.remove()
    }
  })
})
