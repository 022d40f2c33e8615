import assert from 'node:assert/strict'
import { contextOf, type Json, type Opened, openContext, Rig, replyOf, ros2Suite, serveOf } from './rig'

const DOMAIN = 138
const ADD = 'example_interfaces/srv/AddTwoInts'
const long = { timeoutMs: 15_000 }

ros2Suite('serve', () => {
  let other: Opened
  before(async () => {
    other = await openContext(DOMAIN, 'other')
  })
  afterEach(() => Rig.stop())
  after(() => other.context.close())

  it('gives each request on as a message, whose id leads the reply back', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), serveOf(), replyOf())
    const answers = [1, 2, 3].map((a) => other.context.call('/add', ADD, { a, b: 10 }, long))
    const asked = [...(await rig.until('heard', 3))]
    assert.equal(new Set(asked.map(({ ros2 }) => ros2.request)).size, 3)
    for (const { topic, ros2 } of asked) {
      assert.deepEqual([topic, ros2.type, typeof ros2.request], ['/add', ADD, 'string'])
      assert.match(ros2.receivedNs, /^\d{19}$/)
    }
    // In another order.
    for (const { payload, ros2 } of asked.reverse()) {
      rig.sendTo('reply', { ros2, payload: { sum: Number(payload.a) + Number(payload.b) } })
    }
    assert.deepEqual(await Promise.all(answers), [{ sum: 11n }, { sum: 12n }, { sum: 13n }])
    await rig.until('completed', 3)
    await rig.find('status', ({ id, text, shape }) => id === 'serve' && text === 'status.asked' && shape === 'dot')
  })

  it('a request without a reply is let go at the end of its time, and counted', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), serveOf({ timeoutMs: 50 }), replyOf())
    await assert.rejects(other.context.call('/add', ADD, {}, { timeoutMs: 2000 }), { code: 'TIMEOUT' })
    const [{ ros2 }] = await rig.until('heard')
    await rig.find('status', ({ id, text }) => id === 'serve' && text === 'status.dropping')
    rig.sendTo('reply', { ros2, payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('lets its requests go when it is closed, and the service with it', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), serveOf(), replyOf())
    const answer = other.context.call('/add', ADD, {}, long)
    const [{ ros2 }] = await rig.until('heard')
    await Promise.all([
      rig.redeploy(contextOf(DOMAIN), serveOf({ service: '/other' }), replyOf()),
      assert.rejects(answer, { code: 'TRANSPORT' }),
    ])
    rig.sendTo('reply', { ros2, payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('a client that has left is told of', async () => {
    const brief = await openContext(DOMAIN, 'brief')
    const rig = await Rig.start(contextOf(DOMAIN), serveOf(), replyOf())
    const gone = assert.rejects(brief.context.call('/add', ADD, {}, long), { code: 'CLOSED' })
    const [{ ros2 }] = await rig.until('heard')
    await brief.context.close()
    await gone
    rig.sendTo('reply', { ros2, payload: { sum: 1 } })
    await rig.until('error')
    await rig.find('status', ({ id, text }) => id === 'serve' && text === 'status.dropping')
  })

  const bad: [string, Json[], string][] = [
    ['no context', [serveOf({ context: 'nowhere' })], 'error.INVALID_OPTION'],
    ['an unknown type', [contextOf(DOMAIN), serveOf({ serviceType: 'a/srv/B' })], 'error.UNKNOWN_TYPE'],
    ['no service', [contextOf(DOMAIN), serveOf({ service: 'a b' })], 'error.INVALID_OPTION'],
  ]
  for (const [title, nodes, text] of bad) {
    it(`shows what is wrong: ${title}`, async () => {
      const rig = await Rig.start(...nodes)
      assert.equal((await rig.find('status', (one) => one.text === text)).fill, 'red')
      await rig.until('error')
    })
  }
})
