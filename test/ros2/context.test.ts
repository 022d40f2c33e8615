import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { badSettings, contextOf, inOf, type Json, openContext, outOf, Rig, ros2Suite } from './rig'

const DOMAIN = 92
const SCAN = 'sensor_msgs/msg/LaserScan'
const POINT = 'geometry_msgs/msg/PointStamped'

ros2Suite('context', () => {
  afterEach(() => Rig.stop())

  badSettings([
    ['a context with a wrong domain', [contextOf(233), inOf()], 'error.INVALID_OPTION'],
    ['a context with a wrong transport', [contextOf(DOMAIN, { transport: 'dds' }), inOf()], 'error.INVALID_OPTION'],
    ['a transport that is not there', [contextOf(DOMAIN, { transport: 'rclnodejs' }), inOf()], 'error.UNAVAILABLE'],
    ['a context with a wrong name', [contextOf(DOMAIN, { nodeName: 'a b' }), inOf()], 'error.INVALID_OPTION'],
    ['a context with a wrong namespace', [contextOf(DOMAIN, { namespace: 'a' }), inOf()], 'error.INVALID_OPTION'],
    ['messages without a name', [contextOf(DOMAIN, { messages: 'uint8 a' }), inOf()], 'error.INVALID_OPTION'],
    [
      'messages of one name',
      [contextOf(DOMAIN, { messages: '=== a/msg/B\n=== a/msg/B' }), inOf()],
      'error.INVALID_OPTION',
    ],
    [
      'a definition that is none',
      [contextOf(DOMAIN, { messages: '=== a/msg/B\n%%' }), inOf({ messageType: 'a/msg/B' })],
      'error.INVALID_OPTION',
    ],
    ['an interface that is not there', [contextOf(97, { interface: 'nix0' }), inOf()], 'error.TRANSPORT'],
    ['a configuration that is none', [contextOf(97, { cycloneddsUri: '<Cyclone' }), inOf()], 'error.TRANSPORT'],
  ])

  it("takes Cyclone DDS's own configuration: it changes what is left open, and not what is chosen", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-context-'))
    const file = join(folder, 'trace.log')
    const tracing = `<Tracing><Verbosity>config</Verbosity><OutputFile>${file}</OutputFile></Tracing>`
    const buffer = '<Internal><SocketReceiveBufferSize max="3MB"/></Internal>'
    const multicast = '<General><AllowMulticast>true</AllowMulticast></General>'
    const cycloneddsUri = `<CycloneDDS><Domain>${tracing}${buffer}${multicast}</Domain></CycloneDDS>`
    const rig = await Rig.start(contextOf(71, { cycloneddsUri }), inOf())
    await rig.find('status', (one) => one.text === 'status.nobody')
    const trace = readFileSync(file, 'utf8')
    rmSync(folder, { recursive: true })
    const lines = trace.split('\n')
    for (const used of [
      'SocketReceiveBufferSize[@max]: 3 MiB',
      'AllowMulticast/#text: false',
      'WhcHigh/#text: 16 MiB',
    ]) {
      assert.ok(
        lines.some((line) => line.includes(`/${used} `)),
        used,
      )
    }
  })

  it('tells the dialogs what is there', async () => {
    const { context } = await openContext(DOMAIN, 'other')
    const publisher = context.publish('/pose', POINT)
    const folder = mkdtempSync(join(tmpdir(), 'millrace-context-'))
    mkdirSync(join(folder, 'my_msgs/msg'), { recursive: true })
    writeFileSync(join(folder, 'my_msgs/msg/Speed.msg'), 'float64 value')
    const rig = await Rig.start(contextOf(DOMAIN, { nodeName: 'mine', folders: folder }))
    assert.equal((await rig.get('/millrace-ros2-context/nowhere/graph')).body, null)
    const { body } = await rig.get('/millrace-ros2-context/ctx/graph')
    assert.deepEqual(body.nodes, ['/mine', '/other'])
    assert.deepEqual(body.topics, [{ topic: '/pose', types: [POINT] }])
    rmSync(folder, { recursive: true })
    assert.ok(body.types.includes(SCAN) && body.types.includes('my_msgs/msg/Speed'))
    assert.deepEqual(body.transport, { name: 'native', whyNot: { rclnodejs: 'not-sourced' } })
    const said = await rig.find('log', (text) => text.includes('transport.whyNot'))
    assert.match(said, /^transport.using; /)
    await publisher.close()
    await context.close()
  })

  it('offers the interfaces of this machine, of a context that is not deployed, too', async () => {
    const rig = await Rig.start()
    const { body } = await rig.get('/millrace-ros2-context/new/interfaces')
    const [[name = ''] = []] = Object.entries(networkInterfaces()).filter(([, all]) => all?.some((it) => it.internal))
    assert.ok(body.includes('127.0.0.1') && body.includes(name), body)
  })

  const failing: [string, Json, string][] = [
    ['no network', contextOf(97, { interface: 'nix0' }), 'TRANSPORT'],
    ['a wrong setting', contextOf(233), 'INVALID_OPTION'],
  ]
  for (const [title, node, code] of failing) {
    it(`tells the dialogs why nothing is there: ${title}`, async () => {
      const rig = await Rig.start(node)
      const { status, body } = await rig.get('/millrace-ros2-context/ctx/graph')
      assert.equal(status, 500)
      assert.equal(body.code, code)
    })
  }

  it('a deploy of the context, with other settings, takes its users along', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), outOf(), inOf())
    rig.send({ payload: { data: 'before' } })
    await rig.until('heard')
    await rig.redeploy(contextOf(93, { interface: '127.0.0.1' }), outOf(), inOf())
    rig.send({ payload: { data: 'after' } })
    const [, message] = await rig.until('heard', 2)
    assert.equal(message.payload.data, 'after')
  })

  it('leaves nothing behind: the domain can be had with other settings', async () => {
    for (const peers of ['', '127.0.0.1', '127.0.0.1;127.0.0.1']) {
      const rig = await Rig.start(contextOf(DOMAIN, { peers }), outOf(), inOf())
      rig.send({ payload: { data: peers } })
      await rig.until('heard')
      await Rig.stop()
      assert.deepEqual(rig.seen.error, [])
    }
  })
})
