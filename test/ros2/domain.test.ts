import assert from 'node:assert/strict'
import { domainOf } from '../../nodes/ros2/finding'
import type { ContextHost } from '../../nodes/ros2/host'
import { contextOf, graphOf, openContext, Rig, ros2Suite, type Seen } from './rig'

const DOMAIN = 180
const STRING = 'std_msgs/msg/String'

ros2Suite('millrace-ros2-domain', () => {
  afterEach(() => Rig.stop())

  const ask = async (rig: Rig, search = '', id = 'ctx'): Promise<Seen> =>
    (await rig.get(`/millrace-ros2-context/${id}/domain?search=${search}`)).body

  it('tells what is in the domain of a context that is open', async () => {
    const { context } = await openContext(DOMAIN, 'other', { namespace: '/robot' })
    const publisher = context.publish('/robot/map', STRING)
    const rig = await Rig.start(contextOf(DOMAIN), graphOf({ atStart: true }))
    const isMap = ({ kind, topic, node }: Seen) => kind === 'publisher' && topic === '/robot/map' && node !== null
    await rig.find('heard', ({ payload }) => payload.some(isMap))
    const { state, problem, graph } = await ask(rig, 'robot')
    assert.deepEqual([state, problem], ['open', null])
    assert.deepEqual(graph.topics, { all: 1, fitting: 1, shown: [{ name: '/robot/map', types: [STRING] }] })
    assert.deepEqual(graph.nodes, { all: 2, fitting: 1, shown: [{ name: '/robot/other', types: [] }] })
    // What went is not told any more.
    await publisher.close()
    await rig.find('heard', ({ payload }) => payload.some((it: Seen) => it.event === 'removed' && isMap(it)))
    assert.equal((await ask(rig)).graph.topics.all, 0)
    await context.close()
  })

  it('opens no context; says why one is not open', async () => {
    const wrong = contextOf(DOMAIN + 1, { id: 'wrong', interface: 'nix0' })
    const rig = await Rig.start(contextOf(DOMAIN), wrong)
    assert.deepEqual(await ask(rig), { state: 'idle', problem: null, graph: null })
    await rig.redeploy(wrong, graphOf({ context: 'wrong' }))
    await rig.until('error')
    const { state, problem, graph } = await ask(rig, '', 'wrong')
    assert.deepEqual([state, graph], ['failed', null])
    assert.match(problem, /interface/)
    for (const id of ['graph', 'nowhere']) assert.equal(await ask(rig, '', id), null)
  })
})

describe('what the sidebar shows of a ROS 2 graph', () => {
  const names = Array.from({ length: 1000 }, (_, n) => `/t${n}`)
  const seen = {
    topics: names.map((topic) => ({ topic, types: [topic === '/t7' ? 'a/msg/Odd' : STRING] })),
    services: [{ service: '/add', types: ['a/srv/Add'] }],
    actions: [],
    nodes: ['/one'],
  }
  const host = { link: { state: 'open' }, seen: () => seen } as unknown as ContextHost

  it('stays small with 1,000 topics, and finds a part of a name or type', () => {
    const { graph } = domainOf(host, '')
    assert.deepEqual([graph?.topics.all, graph?.topics.fitting, graph?.topics.shown.length], [1000, 1000, 50])
    assert.deepEqual(graph?.nodes, { all: 1, fitting: 1, shown: [{ name: '/one', types: [] }] })
    assert.deepEqual(domainOf(host, 'T99').graph?.topics.shown.length, 11)
    assert.deepEqual(domainOf(host, '/odd').graph?.topics.shown, [{ name: '/t7', types: ['a/msg/Odd'] }])
    assert.deepEqual(domainOf(host, 'add').graph?.services.shown.length, 1)
  })
})
