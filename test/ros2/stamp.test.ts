import assert from 'node:assert/strict'
import { ros2 } from '../../nodes'
import { type Step, stampOf, stampSteps } from '../../nodes/ros2/lib/stamp'
import cases from './stamps.json'

/** One table for this and for the engine, which reads stamps in native/src/ros2/stamp.rs. */
interface Case {
  title: string
  definition: string
  steps: Step[]
  cdr: string
  stamp: string | null
}
const TYPE = 'my_msgs/Stamped'

function stepsOf(text: string): Step[] | null {
  const [root = '', ...others] = text.split(/^=== /m)
  const named = others.map((other) => [other.slice(0, other.indexOf('\n')), other.slice(other.indexOf('\n') + 1)])
  const messages = { [TYPE]: root, ...Object.fromEntries(named) }
  return stampSteps(new ros2.Definitions({ messages, folders: [] }).resolve(TYPE))
}

describe('ros2 stamps', () => {
  for (const { title, definition, steps, cdr, stamp } of cases as Case[]) {
    it(title, () => {
      assert.deepEqual(stepsOf(definition), steps)
      const bytes = Buffer.from(cdr, 'hex')
      assert.equal(String(stampOf(bytes, steps) ?? null), String(stamp))
      if (stamp === null) return
      const needed = Array.from(bytes, (_, length) => length).find((length) => {
        return stampOf(bytes.subarray(0, length), steps) === BigInt(stamp)
      })
      for (let length = 0; length < (needed ?? bytes.length); length += 1) {
        assert.equal(stampOf(bytes.subarray(0, length), steps), undefined, `cut to ${length}`)
      }
    })
  }

  const none: [string, string][] = [
    ['nothing', ''],
    ['a time of another name', 'builtin_interfaces/Time clock'],
    ['a stamp that is no time', 'uint64 stamp'],
    ['stamps in a list', 'builtin_interfaces/Time[] stamp'],
    ['a list of nothing', 'std_msgs/Header[0] header'],
  ]
  for (const [title, definition] of none) {
    it(`there is none in ${title}`, () => assert.equal(stepsOf(definition), null))
  }

  it('of standard types', () => {
    const of = (type: string) => stampSteps(new ros2.Definitions({ folders: [] }).resolve(type))
    assert.deepEqual(of('sensor_msgs/msg/Image'), [])
    assert.deepEqual(of('nav_msgs/msg/Odometry'), [])
    assert.deepEqual(of('std_msgs/msg/Header'), [])
    assert.deepEqual(of('tf2_msgs/msg/TFMessage'), ['first'])
    assert.equal(of('std_msgs/msg/String'), null)
    assert.equal(of('rosgraph_msgs/msg/Clock'), null)
  })
})
