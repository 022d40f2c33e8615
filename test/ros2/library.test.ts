import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { ros2 } from '../../nodes'
import { Inbox, openContext, ros2Suite } from './rig'

const DOMAIN = 100
const STRING = 'std_msgs/msg/String'
const pause = new Int32Array(new SharedArrayBuffer(4))
const latched: ros2.Qos = { reliability: 'reliable', durability: 'transient-local', depth: 10 }

ros2Suite('library', () => {
  it('a talker is heard, and both see each other', async () => {
    const talker = await openContext(DOMAIN, 'talker')
    const listener = await openContext(DOMAIN, 'listener', { namespace: '/robot' })
    const inbox = new Inbox<ros2.Received>()
    const publisher = talker.context.publish('/robot/chat', STRING, latched)
    const subscription = listener.context.subscribe('chat', STRING, inbox.put, { qos: latched })
    await talker.until(() => publisher.matched() === 1)
    publisher.send({ data: 'hello' })
    const [received] = await inbox.until(1)
    assert.deepEqual(received?.message, { data: 'hello' })
    assert.ok(received?.sourceNs && received.receivedNs >= received.sourceNs)

    await listener.until(() => listener.context.graph().publishers.some(({ node }) => node?.name === 'talker'))
    const { nodes, publishers, subscriptions } = listener.context.graph()
    const names = nodes.map(({ namespace, name }) => `${namespace} ${name}`).sort()
    assert.deepEqual(names, ['/ talker', '/robot listener'])
    const [seen] = publishers
    assert.deepEqual([seen?.topic, seen?.type, seen?.gid], ['/robot/chat', STRING, received?.publisher])
    assert.deepEqual([seen?.qos.reliability, seen?.qos.durability], ['reliable', 'transient-local'])
    assert.equal(subscriptions.length, 1)

    await publisher.close()
    await listener.until(() => listener.context.graph().publishers.length === 0)
    await subscription.close()
    await Promise.all([talker.context.close(), listener.context.close()])
  })

  it('raw CDR passes as it is', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const inbox = new Inbox<ros2.Received>()
    const publisher = context.publish('/raw', STRING, latched)
    const subscription = context.subscribe('/raw', STRING, inbox.put, { qos: latched })
    const cdr = Buffer.from([0, 1, 0, 0, 2, 0, 0, 0, 0x78, 0])
    publisher.send(cdr)
    assert.deepEqual((await inbox.until(1))[0]?.cdr, cdr)
    await Promise.all([publisher.close(), subscription.close()])
    await context.close()
  })

  it('who comes late hears what is latched, as much as the depth says', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const publisher = context.publish('/map', STRING, { ...latched, depth: 2 })
    for (const data of ['a', 'b', 'c']) publisher.send({ data })
    const inbox = new Inbox<ros2.Received>()
    const subscription = context.subscribe('/map', STRING, inbox.put, { qos: latched })
    const heard = (await inbox.until(2)).map(({ message }) => message.data)
    assert.deepEqual(heard, ['b', 'c'])
    await Promise.all([publisher.close(), subscription.close()])
    await context.close()
  })

  it('a subscription that asks for more than is offered hears nothing', async () => {
    const { context, until } = await openContext(DOMAIN, 'both')
    const publisher = context.publish('/best', STRING)
    const strict = context.subscribe('/best', STRING, () => {}, { qos: { reliability: 'reliable' } })
    const easy = context.subscribe('/best', STRING, () => {})
    await until(() => publisher.matched() > 0 && context.graph().subscriptions.length === 2)
    assert.equal(publisher.matched(), 1)
    await Promise.all([publisher.close(), strict.close(), easy.close()])
    await context.close()
  })

  it('what the listener cannot keep up with gives way, the oldest first, and is counted', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const all: ros2.Qos = { ...latched, history: 'keep-all' }
    const publisher = context.publish('/fast', STRING, all)
    for (let place = 0; place < 50; place += 1) publisher.send({ data: String(place) })
    const inbox = new Inbox<ros2.Received>()
    const subscription = context.subscribe('/fast', STRING, inbox.put, { qos: all, maxSamples: 5 })
    // The thread of the DDS fills the queue while this one is busy.
    for (let tries = 0; tries < 5000 && subscription.counts().received < 50; tries += 1) Atomics.wait(pause, 0, 0, 1)
    const heard = (await inbox.until(5)).map(({ message }) => message.data)
    assert.deepEqual(heard, ['45', '46', '47', '48', '49'])
    assert.deepEqual(subscription.counts(), { received: 50, dropped: 45 })
    await Promise.all([publisher.close(), subscription.close()])
    await context.close()
  })

  it('a message that is wrong is not sent', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const publisher = context.publish('/t', STRING)
    assert.throws(() => publisher.send({ data: 5 }), { code: 'INVALID_INPUT' })
    assert.throws(() => publisher.send(Buffer.from([0, 1])), { code: 'INVALID_INPUT' })
    await publisher.close()
    await context.close()
  })

  it('what is closed says so, and may be closed again', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    const publisher = context.publish('/t', STRING)
    const subscription = context.subscribe('/t', STRING, () => assert.fail('heard after its end'))
    await subscription.close()
    publisher.send({ data: 'nobody' })
    await publisher.close()
    await context.close()
    assert.throws(() => publisher.send({ data: 'x' }), { code: 'CLOSED' })
    assert.throws(() => publisher.matched(), { code: 'CLOSED' })
    assert.throws(() => context.graph(), { code: 'CLOSED' })
    assert.throws(() => context.publish('/t', STRING), { code: 'CLOSED' })
    assert.throws(() => context.subscribe('/t', STRING, () => {}), { code: 'CLOSED' })
    await Promise.all([publisher.close(), subscription.close(), context.close()])
  })

  const wrong: [string, object, string][] = [
    ['a domain that does not exist', { domain: 233 }, 'INVALID_OPTION'],
    ['a name that is none', { name: 'a b' }, 'INVALID_OPTION'],
    ['a namespace that is none', { namespace: 'robot' }, 'INVALID_OPTION'],
    ['a discovery that does not exist', { discovery: 'far' }, 'INVALID_OPTION'],
    ['an option that does not exist', { domian: 1 }, 'INVALID_OPTION'],
    ['an interface that is not there', { domain: 101, interface: '203.0.113.1' }, 'TRANSPORT'],
  ]
  for (const [title, options, code] of wrong) {
    it(`refuses ${title}`, () => assert.rejects(openContext(DOMAIN, 'wrong', options), { code }))
  }

  it('one process has one setting a domain, until all have left it', async () => {
    const { context } = await openContext(DOMAIN, 'first')
    await assert.rejects(openContext(DOMAIN, 'second', { peers: ['127.0.0.2'] }), { code: 'INVALID_OPTION' })
    await context.close()
    const second = await openContext(DOMAIN, 'second', { peers: ['127.0.0.2'] })
    await second.context.close()
  })

  it('refuses topics and types that do not do', async () => {
    const { context } = await openContext(DOMAIN, 'both')
    assert.throws(() => context.publish('/a b', STRING), { code: 'INVALID_OPTION' })
    assert.throws(() => context.subscribe('/1', STRING, () => {}), { code: 'INVALID_OPTION' })
    assert.throws(() => context.publish('/t', 'String'), { code: 'INVALID_OPTION' })
    assert.throws(() => context.subscribe('/t', 'a/msg/B', () => {}), { code: 'UNKNOWN_TYPE' })
    assert.throws(() => context.publish('/t', STRING, { depth: -1 }), { code: 'INVALID_OPTION' })
    await context.close()
  })

  it('100 contexts leave no thread and no socket behind', async () => {
    const round = async () => {
      const { context } = await openContext(DOMAIN, 'brief')
      const publisher = context.publish('/t', STRING)
      const subscription = context.subscribe('/t', STRING, () => {})
      await Promise.all([publisher.close(), subscription.close()])
      await context.close()
    }
    const counted = () => ['task', 'fd'].map((folder) => readdirSync(`/proc/self/${folder}`).length)
    if (process.platform !== 'linux') return round()
    await round()
    const [threads = 0, files = 0] = counted()
    for (let place = 0; place < 100; place += 1) await round()
    const [threadsAfter = 0, filesAfter = 0] = counted()
    // The runtime's own threads come and go; a leak would be a hundred times these of a context.
    assert.ok(threadsAfter < threads + 20, `${threads} threads became ${threadsAfter}`)
    assert.ok(filesAfter < files + 20, `${files} files became ${filesAfter}`)
  })
})
