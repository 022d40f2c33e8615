import assert from 'node:assert/strict'
import type { Graph, GraphEndpoint } from '../../nodes/ros2/lib'
import { type Change, changesOf, itemsOf, sceneOf } from '../../nodes/ros2/scene'
import { badSettings, contextOf, graphOf, inOf, openContext, Rig, ros2Suite } from './rig'

const DOMAIN = 144
const STRING = 'std_msgs/msg/String'

const all = { prefix: '', hideOwn: false, hideHidden: false }
const end = (topic: string, more: object = {}) =>
  ({ topic, type: STRING, service: false, node: null, own: false, gid: topic, qos: {}, ...more }) as GraphEndpoint
const node = (name: string, own = false) => ({ namespace: '/', name, own })

describe('ros2 graph: what flows get', () => {
  const graph: Graph = {
    nodes: [node('talker'), node('me', true), node('_hidden')],
    publishers: [end('/a', { node: node('talker') }), end('/own', { own: true }), end('/_b'), end('/c/_d/e')],
    subscriptions: [end('/a', { gid: 'other', type: 'std_msgs/msg/Bool' }), end('/srv', { service: true })],
  }
  const seen = (filter: object) =>
    [...itemsOf(graph, { ...all, ...filter }).values()].map((item) => (item.kind === 'node' ? item.node : item.topic))

  it('is filtered', () => {
    assert.deepEqual(seen({}), ['/talker', '/me', '/_hidden', '/a', '/own', '/_b', '/c/_d/e', '/a'])
    assert.deepEqual(seen({ hideOwn: true }), ['/talker', '/_hidden', '/a', '/_b', '/c/_d/e', '/a'])
    assert.deepEqual(seen({ hideHidden: true }), ['/talker', '/me', '/a', '/own', '/a'])
    assert.deepEqual(seen({ prefix: '/a' }), ['/a', '/a'])
  })

  it('is put together by topic', () => {
    const { nodes, topics } = sceneOf(itemsOf(graph, { ...all, prefix: '/a' }).values())
    assert.deepEqual(nodes, [])
    assert.equal(topics.length, 1)
    const [{ topic, types, publishers, subscriptions } = assert.fail()] = topics
    assert.deepEqual([topic, types], ['/a', [STRING, 'std_msgs/msg/Bool']])
    assert.deepEqual(publishers, [{ type: STRING, node: '/talker', qos: {}, gid: '/a' }])
    assert.deepEqual(subscriptions, [{ type: 'std_msgs/msg/Bool', node: null, qos: {}, gid: 'other' }])
  })

  it('changes are told first of what went, and no more than so many', () => {
    const known = itemsOf({ nodes: [node('gone'), node('stays')], publishers: [], subscriptions: [] }, all)
    const now = itemsOf({ nodes: [node('stays'), node('one'), node('two')], publishers: [], subscriptions: [] }, all)
    const told = (limit: number) => changesOf(known, now, limit).map(([, change]) => change)
    const one: Change = { event: 'removed', kind: 'node', node: '/gone' }
    const two: Change = { event: 'added', kind: 'node', node: '/one' }
    assert.deepEqual(told(10), [one, two, { event: 'added', kind: 'node', node: '/two' }])
    assert.deepEqual(told(2), [one, two])
  })
})

ros2Suite('graph', () => {
  afterEach(() => Rig.stop())

  /** Waits for a change that is told. */
  async function change(rig: Rig, fits: (change: Change) => boolean): Promise<Change> {
    const { payload } = await rig.find('heard', ({ payload }) => payload.some(fits))
    return payload.find(fits)
  }

  it('tells who comes and goes', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), graphOf())
    await rig.find('status', ({ text, fill }) => text === 'status.counts' && fill === 'grey')
    const { context } = await openContext(DOMAIN, 'other', { namespace: '/robot' })
    const publisher = context.publish('/robot/map', STRING, { reliability: 'reliable', depth: 3 })
    await change(rig, ({ event, kind, node }) => event === 'added' && kind === 'node' && node === '/robot/other')
    const added = await change(rig, (it) => it.kind === 'publisher' && it.event === 'added' && it.node !== null)
    assert.ok(added.kind === 'publisher')
    const { topic, type, node, qos, gid } = added
    assert.deepEqual({ topic, type, node }, { topic: '/robot/map', type: STRING, node: '/robot/other' })
    assert.deepEqual([qos.reliability, qos.depth], ['reliable', 3])
    assert.match(gid, /^[0-9a-f]{32}$/)
    await rig.find('status', ({ text, fill }) => text === 'status.counts' && fill === 'green')
    await publisher.close()
    await change(rig, (it) => it.kind === 'publisher' && it.event === 'removed' && it.gid === gid && it.node !== null)
    await context.close()
    await change(rig, ({ event, kind }) => event === 'removed' && kind === 'node')
    assert.deepEqual([rig.seen.error, rig.seen.warn], [[], []])
  })

  it('gives the whole graph to whoever asks, with the message that asked', async () => {
    const { context, until } = await openContext(DOMAIN, 'other')
    const subscription = context.subscribe('/robot/cmd', STRING, () => {})
    const rig = await Rig.start(contextOf(DOMAIN), graphOf({ prefix: 'robot' }))
    await until(() => context.graph().nodes.length === 2)
    await change(rig, (it) => it.kind === 'subscription' && it.node !== null)
    rig.sendTo('graph', { _msgid: 'asked', topic: 'mine' })
    const [{ _msgid, topic, payload }] = await rig.until('rest')
    assert.deepEqual([_msgid, topic, payload.nodes], ['asked', 'mine', []])
    assert.deepEqual(
      payload.topics.map((one: { topic: string }) => one.topic),
      ['/robot/cmd'],
    )
    assert.equal(payload.topics[0].subscriptions[0].node, '/other')
    await subscription.close()
    await context.close()
  })

  it('messages that come before the context is open wait for it, and fail where it does not open', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), graphOf())
    rig.sendTo('graph', {})
    await rig.until('rest')
    await rig.redeploy(contextOf(145, { interface: 'nix0' }), graphOf())
    rig.sendTo('graph', {})
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
  })

  it('gives the whole graph after the start, with what is its own where that is wanted', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), inOf(), graphOf({ atStart: true, hideOwn: false }))
    const [{ payload }] = await rig.until('rest')
    assert.deepEqual(payload.nodes, ['/millrace'])
    const topic = payload.topics.find((one: { topic: string }) => one.topic === '/t')
    assert.deepEqual(topic.types, [STRING])
    assert.equal(topic.subscriptions[0].node, '/millrace')
  })

  badSettings([
    ['no context', [graphOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['a prefix that begins no name', [contextOf(DOMAIN), graphOf({ prefix: 'a b' })], 'error.INVALID_OPTION'],
  ])
})
