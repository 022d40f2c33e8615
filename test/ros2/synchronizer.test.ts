import assert from 'node:assert/strict'
import { ros2 } from '../../nodes'
import { openContext, ros2Suite } from './rig'

ros2Suite('synchronizer', () => {
  it('gives frames that belong together, and keeps the rest to itself', async () => {
    const { context: cameras } = await openContext(113, 'cameras')
    const { context, until } = await openContext(113, 'listener')
    const qos = { reliability: 'reliable', depth: 100 } as const
    const image = 'sensor_msgs/msg/CompressedImage'
    const [left, right] = ['/left', '/right'].map((topic) => cameras.publish(topic, image, qos)) as [
      ros2.Publisher,
      ros2.Publisher,
    ]
    const pairs = new ros2.Synchronizer(context, { windowMs: 10, qos })
    pairs.addSubscription(image, '/left')
    pairs.addSubscription(image, '/right')
    const groups: string[] = []
    const nine = new Promise<void>((resolve) => {
      pairs.onSynchronized((group) => {
        const formats = group.topics().map((topic) => group.get(topic)?.message.format)
        groups.push(`${formats.join(' ')} ${group.skewNs}`)
        if (groups.length === 9) resolve()
      })
    })
    await until(() => left.matched() + right.matched() === 2)
    const at = (ms: number, format: string) => ({ header: { stamp: { sec: 1, nanosec: ms * 1e6 } }, format })
    // What is no message must not end anything.
    left.send(Buffer.from([0, 1, 0, 0, 1]))
    for (let frame = 0; frame < 20; frame += 1) {
      left.send(at(frame * 33, `l${frame}`))
      if (frame % 2 === 0) right.send(at(frame * 33 + 2, `r${frame}`))
    }
    await nine
    assert.deepEqual(
      groups.slice(0, 9),
      Array.from({ length: 9 }, (_, pair) => `l${2 * pair} r${2 * pair} 2000000`),
    )
    const { lost, maxSkewMs } = pairs.stats()
    assert.deepEqual({ lost, maxSkewMs }, { lost: 0, maxSkewMs: 2 })
    assert.equal(pairs.left()['/left']?.['no-stamp'], 1)
    assert.deepEqual(pairs.left()['/right'], {})
    assert.equal(pairs.stall(), null)
    await pairs.close()
    assert.deepEqual([pairs.stats().received, pairs.left()['/left'], pairs.stall()], [0, {}, null])
    await Promise.all([left.close(), right.close()])
    await Promise.all([context.close(), cameras.close()])
  })

  it('refuses options and topics that cannot work', async () => {
    const { context } = await openContext(114, 'nobody')
    const wrong = new ros2.Synchronizer(context, { windowMs: 0 })
    wrong.addSubscription('sensor_msgs/msg/Image', '/a')
    assert.throws(() => wrong.onSynchronized(() => {}), { code: 'INVALID_OPTION' })
    // In JSON it would be null: any window.
    const noNumber = new ros2.Synchronizer(context, { windowMs: Number.NaN })
    noNumber.addSubscription('sensor_msgs/msg/Image', '/a')
    assert.throws(() => noNumber.onSynchronized(() => {}), { code: 'INVALID_OPTION' })
    const none = new ros2.Synchronizer(context)
    assert.throws(() => none.onSynchronized(() => {}), { code: 'INVALID_OPTION' })
    assert.throws(() => none.addSubscription('nobody_msgs/msg/Knows', '/a'), { code: 'UNKNOWN_TYPE' })
    await context.close()
  })
})
