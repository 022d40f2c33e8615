/** Services with other people's software: ROS 2 Jazzy over Fast DDS, and Cyclone DDS in the form of ROS 2 on it. */
import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { Peer, peersSuite } from './peer'
import { nativeIt, type Opened, openContext } from './rig'

const TYPE = 'rcl_interfaces/srv/ListParameters'
const long = { timeoutMs: 20_000 }
/** Too long for one packet. */
const many = Array.from({ length: 5000 }, (_, place) => `name_${place}`)

const giveBack: ros2.Handler = ({ prefixes, depth }) => ({ result: { names: prefixes, prefixes: [String(depth)] } })

peersSuite('ros2 services with peers', () => {
  describe('ROS 2 Jazzy', () => {
    const domain = 139
    let peer: Peer
    let node: Opened

    before(async () => {
      peer = await Peer.start('peer_rclpy.py', domain)
      node = await openContext(domain, 'our_node')
    })

    after(async () => {
      await node?.context.close()
      await peer?.stop()
    })

    it('answers our calls, of any size and many at a time', async () => {
      await peer.ask({ serve: '/theirs' })
      const client = node.context.client('/theirs', TYPE, { int64: 'string' })
      await client.ready(long)
      // Its server keeps ten requests, as all of ROS 2 do.
      const answers = await Promise.all([...Array(10).keys()].map((depth) => client.call({ depth }, long)))
      for (const [depth, { result }] of answers.entries()) {
        assert.deepEqual(result, { names: [], prefixes: [String(depth)] })
      }
      const { result } = await client.call({ prefixes: many, depth: 2n ** 63n }, long)
      assert.deepEqual(result, { names: many, prefixes: [String(2n ** 63n)] })
      await client.close()
    })

    it('gets answers from us, of any size', async () => {
      const server = node.context.serve('/ours', TYPE, giveBack, { int64: 'string' })
      for (const [depth, prefixes] of [[], ['a', 'b'], many].entries()) {
        const answer = await peer.ask({ call: ['/ours', prefixes, depth] })
        assert.deepEqual(answer, { names: prefixes, prefixes: [String(depth)] })
      }
      assert.deepEqual([server.counts(), server.deaf()], [{ received: 3, dropped: 0 }, 0])
      await server.close()
    })

    it('gets its own answer when it and another client ask at a time', async () => {
      const server = node.context.serve('/both', TYPE, giveBack, { int64: 'string' })
      const ours = [...Array(20).keys()].map((depth) => node.context.call('/both', TYPE, { depth }, long))
      assert.deepEqual(await peer.ask({ call: ['/both', ['theirs'], 7] }), { names: ['theirs'], prefixes: ['7'] })
      for (const [depth, { result }] of (await Promise.all(ours)).entries()) {
        assert.deepEqual((result as { prefixes: string[] }).prefixes, [String(depth)])
      }
      await server.close()
    })

    it('lets its parameters be listed, read, set and described', async () => {
      const declared = {
        speed: 0.5,
        count: 3,
        name: 'robot',
        on: true,
        list: [1.5, 2.5],
        words: ['a'],
        'arm.length': 2,
      }
      await peer.ask({ declare: declared })
      const parameters = node.context.parameters('/rclpy_peer')
      const names = await parameters.list(long)
      for (const name of Object.keys(declared)) assert.ok(names.includes(name), name)
      assert.deepEqual(await parameters.list({ ...long, prefixes: ['arm'] }), ['arm.length'])
      assert.deepEqual(await parameters.get(Object.keys(declared), long), declared)

      const changed = { speed: 2, count: 4, name: 'other', on: false, list: [1, 2], words: [], 'arm.length': 9 }
      const results = await parameters.set(changed, long)
      assert.deepEqual(
        results.map(({ name, successful }) => [name, successful]),
        Object.keys(changed).map((name) => [name, true]),
      )
      assert.deepEqual(await peer.ask({ parameters: Object.keys(changed) }), changed)

      // A whole number for a parameter that is a text, and one that is not declared.
      const refused = await parameters.set({ name: 5, nothing: true, count: 5 }, long)
      assert.deepEqual(
        refused.map(({ successful, reason }) => [successful, reason !== '']),
        [
          [false, true],
          [false, true],
          [true, false],
        ],
      )
      const [first] = await parameters.set({ count: 6, name: 6 }, { ...long, atomic: true })
      assert.equal(first?.successful, false)
      assert.deepEqual(await parameters.get(['count'], long), { count: 5 })
      const [speed] = await parameters.describe(['speed'], long)
      assert.deepEqual([speed?.name, speed?.kind, speed?.readOnly], ['speed', 'double', false])
      await assert.rejects(parameters.set({ name: {} as never }, long), { code: 'INVALID_INPUT' })
    })

    nativeIt('gets answers from us that have to be sent again, and answers what we send again', async () => {
      // One of five packets that we send is lost.
      const losing = '<Internal><Test><XmitLossiness>200</XmitLossiness></Test></Internal>'
      const cycloneddsUri = `<CycloneDDS><Domain>${losing}</Domain></CycloneDDS>`
      const lossy = 135
      const own = await Peer.start('peer_rclpy.py', lossy)
      const { context } = await openContext(lossy, 'our_node', { cycloneddsUri })
      await own.ask({ serve: '/theirs' })
      const server = context.serve('/ours', TYPE, giveBack, { int64: 'string' })
      // Until we know who asks, which takes longer here, its requests are lost.
      while ((await own.ask({ call: ['/ours', [], 0] })).error);
      // So are its answers until it knows us.
      const known = () => context.call('/theirs', TYPE, {}, { timeoutMs: 1000 }).then(Boolean, () => false)
      while (!(await known()));
      for (let depth = 0; depth < 30; depth += 1) {
        const prefixes = depth % 10 === 9 ? many : ['a']
        const answer = await own.ask({ call: ['/ours', prefixes, depth] })
        assert.deepEqual(answer, { names: prefixes, prefixes: [String(depth)] })
        const { result } = await context.call('/theirs', TYPE, { prefixes, depth }, long)
        assert.deepEqual(result, answer)
      }
      await server.close()
      await context.close()
      await own.stop()
    })

    it('that is gone is no answer', async () => {
      const own = await Peer.start('peer_rclpy.py', domain)
      await own.ask({ serve: '/brief' })
      const client = node.context.client('/brief', TYPE)
      await client.ready(long)
      // The first answer of a Fast DDS server may be lost while the two ends find each other.
      await client.call({}, { timeoutMs: 2000 }).catch(() => client.call({}, long))
      await own.stop()
      await assert.rejects(client.call({}, { timeoutMs: 300 }), { code: 'TIMEOUT' })
      await client.close()
    })
  })

  describe('Eclipse Cyclone DDS', () => {
    nativeIt('answers our calls, and gets answers from us', async () => {
      const domain = 136
      const peer = await Peer.start('peer_cyclone_service.py', domain)
      const { context } = await openContext(domain, 'our_node')
      const { result } = await context.call('/peer_serves', TYPE, { prefixes: ['a', 'b'], depth: 3 }, long)
      assert.deepEqual(result, { names: ['a', 'b'], prefixes: ['3'] })
      const server = context.serve('/we_serve', TYPE, giveBack, { int64: 'string' })
      for (const [depth, prefixes] of [[], ['c'], many].entries()) {
        assert.deepEqual(await peer.ask({ call: [prefixes, depth] }), { names: prefixes, prefixes: [String(depth)] })
      }
      await server.close()
      await context.close()
      await peer.stop()
    })
  })
})
