import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createRawServer } from 'node:net'
import helper from 'node-red-node-test-helper'
import httpNode from '../../nodes/action/http'
import { createDriver, type DeliveryOptions, type DriverError, type HttpConfig } from '../../nodes/action/lib'
import type { Outlet } from '../../nodes/action/outlet'
import { stateOf } from '../../nodes/shared/node'
import { certificates } from './certificates'
import { alert, type Json, measurement, Rig } from './rig'

interface Asked {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
  socket: Socket
}

type Answer = (response: ServerResponse, asked: Asked) => void

/** A server that answers as the test says, one answer a request; then with 200. */
class Target {
  readonly asked: Asked[] = []
  readonly events = new EventEmitter()
  answers: Answer[] = []
  private readonly sockets = new Set<Socket>()

  private constructor(private readonly server: Server) {}

  static async start(
    make: (handle: (request: IncomingMessage, response: ServerResponse) => void) => Server = createServer,
  ) {
    let target: Target
    const server = make((request, response) => target.handle(request, response))
    target = new Target(server)
    server.on('connection', (socket) => {
      target.sockets.add(socket)
      socket.on('close', () => target.sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return target
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  url(path = '/hook', scheme = 'http', host = '127.0.0.1'): string {
    return `${scheme}://${host}:${this.port}${path}`
  }

  async until(count: number): Promise<Asked[]> {
    while (this.asked.length < count) await once(this.events, 'asked', { signal: AbortSignal.timeout(45_000) })
    return this.asked
  }

  bodies(): Json[] {
    return this.asked.map(({ body }) => JSON.parse(body))
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close')
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    let body = ''
    request.on('data', (part) => {
      body += part
    })
    request.on('end', () => {
      const { method = '', url = '', headers, socket } = request
      const asked = { method, url, headers, body, socket }
      this.asked.push(asked)
      const answer = this.answers.shift() ?? json({ ok: true })
      answer(response, asked)
      this.events.emit('asked')
    })
  }
}

const json =
  (body: unknown, status = 200): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end()
const reset: Answer = (response) => void response.socket?.destroy()
const silent: Answer = () => {}

const fast: DeliveryOptions = { backoffMs: 1, timeoutMs: 3000 }
const fails = async (promise: Promise<unknown>): Promise<DriverError> =>
  promise.then(
    () => assert.fail('it was delivered'),
    (error) => error,
  )

describe('driver http', () => {
  let target: Target
  beforeEach(async () => {
    target = await Target.start()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((driver) => driver.shutdown()))
    await target.stop()
  })

  const open: { shutdown(): Promise<void> }[] = []
  const driverOf = (config: Partial<HttpConfig> & DeliveryOptions = {}) => {
    const driver = createDriver('http', { ...fast, url: target.url(), ...config })
    open.push(driver)
    return driver
  }

  it('has the payload types, and counts the attempts in them', async () => {
    target.answers = [status(503)]
    const driver = driverOf()
    const { result, attempts } = await driver.onMeasurement(measurement(7) as never)
    await driver.onAlert(alert('a') as never)
    await driver.clear(alert('a', { reason: 'ended' }) as never)
    await driver.onMessage([1, 2])
    assert.deepEqual([result, attempts], [{ status: 200, body: { ok: true } }, 2])
    assert.deepEqual(target.bodies(), [
      { type: 'display_update', ...measurement(7), retry_attempt: 0 },
      { type: 'display_update', ...measurement(7), retry_attempt: 1 },
      { type: 'alert', ...alert('a'), retry_attempt: 0 },
      { type: 'clear_action', ...alert('a', { reason: 'ended' }), retry_attempt: 0 },
      { type: 'message', data: [1, 2], retry_attempt: 0 },
    ])
  })

  it('data alone, and a template whose JSON stays JSON', async () => {
    await driverOf({ body: 'data' }).onMessage({ a: 1 })
    const template = '{"text": "{{data.message}}", "all": {{data.data}}, "kind": "{{type}}", "none": {{data.none}}}'
    const message = 'a "quoted"\nline'
    await driverOf({ body: 'template', template }).onAlert(alert('a', { message }) as never)
    await driverOf({
      body: 'template',
      template: '{{source}}: {{data.value}}',
      contentType: 'text/plain',
    }).onMeasurement(measurement(7.5) as never)
    assert.deepEqual(
      [JSON.parse(target.asked[0]?.body ?? ''), JSON.parse(target.asked[1]?.body ?? ''), target.asked[2]?.body],
      [{ a: 1 }, { text: message, all: alert('a').data, kind: 'alert', none: null }, 'sensor: 7.5'],
    )
    assert.equal(target.asked[2]?.headers['content-type'], 'text/plain')
  })

  const auths: [name: string, config: Partial<HttpConfig>, header: string, value: string][] = [
    ['bearer', { auth: { type: 'bearer', token: 't' } }, 'authorization', 'Bearer t'],
    [
      'basic',
      { auth: { type: 'basic', user: 'ü', password: 'p:w' } },
      'authorization',
      `Basic ${Buffer.from('ü:p:w').toString('base64')}`,
    ],
    ['API key', { auth: { type: 'api-key', header: 'X-Key', key: 'k' } }, 'x-key', 'k'],
    ['own header', { headers: { 'X-Site': 'north' } }, 'x-site', 'north'],
  ]
  for (const [name, config, header, value] of auths) {
    it(`sends its ${name}`, async () => {
      await driverOf(config).onMessage(1)
      assert.equal(target.asked[0]?.headers[header], value)
    })
  }

  it('signs the body', async () => {
    await driverOf({ hmac: { secret: 's', header: 'X-Signature' } }).onMessage('ä')
    const [asked] = target.asked
    const expected = createHmac('sha256', 's')
      .update(asked?.body ?? '')
      .digest('hex')
    assert.equal(asked?.headers['x-signature'], `sha256=${expected}`)
  })

  it('keeps its connection', async () => {
    const driver = driverOf({ concurrency: 1 })
    for (let turn = 0; turn < 5; turn += 1) await driver.onMessage(turn)
    assert.equal(new Set(target.asked.map(({ socket }) => socket)).size, 1)
  })

  const answers: [status: number, asked: number, code: string][] = [
    [400, 1, 'REFUSED'],
    [401, 1, 'REFUSED'],
    [404, 1, 'REFUSED'],
    [422, 1, 'REFUSED'],
    [301, 1, 'REFUSED'],
    [408, 3, 'TRANSPORT'],
    [425, 3, 'TRANSPORT'],
    [429, 3, 'TRANSPORT'],
    [500, 3, 'TRANSPORT'],
    [503, 3, 'TRANSPORT'],
  ]
  for (const [code, asked, error] of answers) {
    it(`${code} is ${asked > 1 ? '' : 'not '}tried again`, async () => {
      target.answers = Array.from({ length: 5 }, () => status(code))
      assert.equal((await fails(driverOf({ retries: 2 }).onMessage(1))).code, error)
      assert.equal(target.asked.length, asked)
    })
  }

  it('Retry-After is honoured, in seconds and as a date', async () => {
    for (const wait of [() => '1', () => new Date(Date.now() + 2000).toUTCString()]) {
      target.answers = [status(429, { 'retry-after': wait() })]
      const start = performance.now()
      await driverOf().onMessage(1)
      // A date has whole seconds.
      assert.ok(performance.now() - start >= 900, `${performance.now() - start} ms`)
    }
  })

  it('a reset and a slow answer are tried again', async () => {
    target.answers = [reset, silent]
    const { attempts } = await driverOf({ timeoutMs: 100 }).onMessage(1)
    assert.equal(attempts, 3)
  })

  it('a target that is down is told, and delivered to when it is back', async () => {
    const failed = driverOf({ retries: 0 })
    await target.stop()
    const error = await fails(failed.onMessage(1))
    assert.deepEqual([error.code, error.fault], ['TRANSPORT', 'refused'])
    target = await Target.start()
    await driverOf().onMessage(1)
  })

  describe('redirects', () => {
    let other: Target
    beforeEach(async () => {
      other = await Target.start()
    })
    afterEach(() => other.stop())

    it('are followed as far as allowed, without credentials for another host', async () => {
      target.answers = [status(307, { location: '/next' }), status(308, { location: other.url('/there') })]
      const auth = { type: 'bearer', token: 'secret' } as const
      await driverOf({ redirects: 2, auth, body: 'data' }).onMessage('x')
      assert.deepEqual(
        [...target.asked, ...other.asked].map(({ method, url, body, headers }) => [
          method,
          url,
          body,
          headers.authorization,
        ]),
        [
          ['POST', '/hook', '"x"', 'Bearer secret'],
          ['POST', '/next', '"x"', 'Bearer secret'],
          ['POST', '/there', '"x"', undefined],
        ],
      )
    })

    it('303 leads to an answer, which is read', async () => {
      target.answers = [status(303, { location: '/done' })]
      await driverOf({ redirects: 1 }).onMessage('x')
      assert.deepEqual(target.asked[1]?.method, 'GET')
      assert.equal(target.asked[1]?.body, '')
    })

    it('too many are refused', async () => {
      target.answers = Array.from({ length: 5 }, () => status(307, { location: '/again' }))
      assert.equal((await fails(driverOf({ redirects: 2 }).onMessage(1))).code, 'REFUSED')
      assert.equal(target.asked.length, 3)
    })
  })

  describe('private addresses', () => {
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '10.1.2.3', '169.254.169.254']) {
      it(`${host} is refused where they are not allowed`, async () => {
        const error = await fails(
          driverOf({ url: target.url('/', 'http', host), privateAddresses: false }).onMessage(1),
        )
        assert.deepEqual([error.code, error.fault, target.asked.length], ['REFUSED', 'permission', 0])
      })
    }
  })

  const wrong: [what: string, config: Partial<HttpConfig>][] = [
    ['an address of another kind', { url: 'ftp://x' }],
    ['no address', { url: '' }],
    ['a header with a line break', { headers: { a: 'b\r\nc: d' } }],
    ['a header with a blank', { headers: { 'a b': 'c' } }],
    ['an empty template', { body: 'template' }],
    ['an empty secret', { hmac: { secret: '', header: 'x' } }],
  ]
  for (const [what, config] of wrong) {
    it(`${what} is refused`, () => assert.throws(() => driverOf(config), { code: 'INVALID_OPTION' }))
  }

  it('data that is no JSON is an error of the message', async () => {
    const circle: Json = {}
    circle.circle = circle
    assert.equal((await fails(driverOf().onMessage(circle))).code, 'INVALID_INPUT')
    assert.equal((await fails(driverOf().onMessage(1n))).code, 'INVALID_INPUT')
  })

  it('a delivery under way is broken off when the driver has no time left', async () => {
    target.answers = [silent]
    const driver = createDriver('http', { ...fast, timeoutMs: 60_000, url: target.url() })
    const sent = fails(driver.onMessage(1))
    await target.until(1)
    const closed = once(target.asked[0]?.socket as Socket, 'close')
    await driver.shutdown()
    assert.equal((await sent).code, 'CLOSED')
    await closed
  }).timeout(12_000)

  describe('its test', () => {
    const tests: [what: string, answer: Answer, found: string | RegExp][] = [
      ['a good answer', json({}), 'HTTP 200'],
      ['a target that does not know HEAD', status(405), 'HTTP 405'],
    ]
    for (const [what, answer, found] of tests) {
      it(`${what} is good`, async () => {
        target.answers = [answer]
        assert.equal(await driverOf().test(), found)
        assert.equal(target.asked[0]?.method, 'HEAD')
      })
    }

    it('says at which step it fails', async () => {
      const raw = createRawServer((socket) => socket.on('data', () => socket.end('SMTP ready\r\n'))).listen(
        0,
        '127.0.0.1',
      )
      await once(raw, 'listening')
      const { port } = raw.address() as AddressInfo
      target.answers = [status(401), status(403), status(500), reset]
      const faults = []
      for (const config of [{}, {}, {}, {}, { url: 'http://nowhere.invalid/' }, { url: `http://127.0.0.1:${port}/` }]) {
        faults.push((await fails(driverOf(config).test())).fault)
      }
      raw.close()
      assert.deepEqual(faults, ['auth', 'permission', 'answer', 'reset', 'dns', 'answer'])
    })
  })
})

describe('driver http: TLS', function tls() {
  const made = certificates()
  if (!made) {
    console.log('\nSKIPPED driver http: TLS (no openssl)\n')
    it.skip('there is no openssl')
    return
  }
  const { read } = made
  after(() => made.remove())
  let target: Target
  let asksForCertificate = false
  beforeEach(async () => {
    const options = { cert: read('server.pem'), key: read('server.key'), ca: read('ca.pem') }
    target = await Target.start((handle) => createSecureServer({ ...options, requestCert: asksForCertificate }, handle))
  })
  afterEach(() => target.stop())

  const ask = async (config: Partial<HttpConfig> = {}, host = 'localhost') => {
    const driver = createDriver('http', { ...fast, retries: 0, url: target.url('/', 'https', host), ...config })
    try {
      await driver.onMessage(1)
      return `delivered, ${await driver.test()}`
    } catch (error) {
      return (error as DriverError).fault
    } finally {
      await driver.shutdown()
    }
  }

  it('an own authority is known, others are not', async () => {
    assert.deepEqual(
      [
        await ask({ tls: { ca: read('ca.pem') } }),
        await ask(),
        await ask({ tls: { ca: read('other.pem') } }),
        await ask({ tls: { rejectUnauthorized: false } }),
        await ask({ tls: { ca: read('ca.pem'), servername: 'elsewhere' } }),
      ],
      ['delivered, HTTP 200', 'tls', 'tls', 'delivered, HTTP 200', 'tls'],
    )
  })

  it('a plain server is told from one with TLS', async () => {
    const plain = await Target.start()
    assert.equal(await ask({ url: plain.url('/', 'https') }), 'tls')
    await plain.stop()
  })

  it('certificates that cannot be read are said at once', () => {
    assert.throws(() => createDriver('http', { url: 'https://x', tls: { cert: 'no', key: 'no' } }).shutdown(), {
      code: 'INVALID_OPTION',
    })
  })

  it('Node-RED’s own TLS settings are used', async () => {
    const tls = { id: 'tls', type: 'tls-config', cert: '', key: '', ca: made.path('ca.pem'), verifyservercert: true }
    const config = { url: target.url('/', 'https', 'localhost'), tls: 'tls' }
    const rig = await Rig.start(httpNode, 'millrace-action-http', config, { more: [tls] })
    rig.send({ action: 'alert', payload: alert('a') })
    await rig.until('first')
    await rig.redeploy({ ...config, name: 'other' }, { more: [{ ...tls, ca: made.path('missing.pem') }] }, 'full')
    await rig.status(({ text }) => text === 'error.INVALID_OPTION')
    await Rig.stop()
  })

  describe('with a client certificate', () => {
    before(() => {
      asksForCertificate = true
    })

    it('it is shown', async () => {
      let subject: unknown
      target.answers = [
        (response, { socket }) => {
          subject = (socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }).getPeerCertificate()
          response.end()
        },
      ]
      const tls = { ca: read('ca.pem'), cert: read('client.pem'), key: read('client.key') }
      assert.equal(await ask({ tls }), 'delivered, HTTP 200')
      assert.equal((subject as { subject: { CN: string } }).subject.CN, 'client')
    })

    it('without it there is no TLS', async () => {
      assert.match(await ask({ tls: { ca: read('ca.pem') } }), /^(tls|reset)$/)
    })
  })
})

describe('millrace-action-http', () => {
  let target: Target
  beforeEach(async () => {
    target = await Target.start()
  })
  afterEach(async () => {
    await Rig.stop()
    await target.stop()
  })
  const start = (config: Json = {}, wiring = {}) =>
    Rig.start(httpNode, 'millrace-action-http', { url: target.url(), backoffMs: 1, ...config }, wiring)

  it('gives the result with the unchanged message, when the other side has it', async () => {
    const rig = await start()
    let answered = false
    target.answers = [
      (response) => {
        setTimeout(() => {
          answered = true
          json({ id: 7 })(response, {} as Asked)
        }, 50)
      },
    ]
    rig.send({ _msgid: 'm', topic: 't', action: 'alert', payload: alert('a') })
    const [result] = await rig.until('first')
    assert.ok(answered)
    assert.deepEqual(result.result, { status: 200, body: { id: 7 } })
    assert.deepEqual([result._msgid, result.payload, result.delivery.attempts], ['m', alert('a'), 1])
    await rig.until('completed')
    assert.deepEqual(rig.seen.second, [])
  })

  it('gives failures, after retries, by the second output', async () => {
    const rig = await start({ retries: 1 })
    target.answers = [status(500), status(500)]
    rig.send({ action: 'measurement', payload: measurement(1) })
    const [failure] = await rig.until('second')
    assert.equal(target.asked.length, 2)
    assert.deepEqual(
      [failure.delivery.attempts, failure.delivery.error.code, failure.delivery.error.retryable],
      [2, 'TRANSPORT', true],
    )
    await rig.until('completed')
    assert.deepEqual(rig.seen.caught, [])
  })

  it('or as errors, where nothing is wired there', async () => {
    const rig = await start({}, { wired: [true, false] })
    target.answers = [status(404)]
    rig.send({ action: 'measurement', payload: measurement(1) })
    const [caught] = await rig.until('caught')
    assert.equal(caught.error.code, 'REFUSED')
  })

  const inputs: [what: string, message: Json][] = [
    ['no action', { payload: measurement(1) }],
    ['an unknown action', { action: 'dance', payload: {} }],
    ['a measurement without a source', { action: 'measurement', payload: { value: 1 } }],
    ['an alert that is none', { action: 'alert', payload: null }],
  ]
  for (const [what, message] of inputs) {
    it(`${what} is a wrong message`, async () => {
      const rig = await start({}, { wired: [true, false] })
      rig.send(message)
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
      assert.equal(target.asked.length, 0)
    })
  }

  it('takes any message where it may', async () => {
    const rig = await start({ accept: 'any', body: 'data' })
    rig.send({ payload: 'hello', topic: 'x' })
    await rig.until('first')
    assert.equal(target.asked[0]?.body, '"hello"')
  })

  it('answers with its status and its history', async () => {
    const rig = await start()
    rig.send({ action: 'alert', payload: alert('a') })
    await rig.until('first')
    rig.send({ action: 'status' }, { action: 'history', payload: { limit: 5 } })
    const answers = (await rig.until('first', 3)).slice(1)
    const [state, history] = ['status', 'history'].map((name) => answers.find(({ action }) => action === name))
    assert.deepEqual([state.payload.sent, state.payload.state, state.payload.latencyMs.count], [1, 'ready', 1])
    assert.deepEqual([history.payload.entries[0].kind, history.payload.stats.count], ['alert', 1])
  })

  it('uses credentials and TLS settings of Node-RED', async () => {
    const credentials = { token: 'secret', secret: 's' }
    const rig = await start({ auth: 'api-key', keyHeader: 'X-Key', signatureHeader: 'X-Sig' }, { credentials })
    rig.send({ action: 'alert', payload: alert('a') })
    await rig.until('first')
    assert.equal(target.asked[0]?.headers['x-key'], 'secret')
    assert.match(String(target.asked[0]?.headers['x-sig']), /^sha256=[0-9a-f]{64}$/)
  })

  for (const [auth, value] of [
    ['bearer', 'Bearer t'],
    ['basic', `Basic ${Buffer.from('u:p').toString('base64')}`],
  ] as const) {
    it(`logs in by ${auth}`, async () => {
      const rig = await start({ auth }, { credentials: { token: 't', user: 'u', password: 'p' } })
      rig.send({ action: 'alert', payload: alert('a') })
      await rig.until('first')
      assert.equal(target.asked[0]?.headers.authorization, value)
    })
  }

  it('TLS settings that are not there are an error of the node', async () => {
    const rig = await start({ tls: 'gone' })
    assert.equal(rig.seen.error.length, 1)
    await rig.status(({ text }) => text === 'error.INVALID_OPTION')
  })

  it('delivers what waits when it is deployed anew, within its time', async () => {
    const rig = await start({ concurrency: 1 })
    let release = () => {}
    target.answers = [
      (response) => {
        release = () => json({})(response, {} as Asked)
      },
    ]
    rig.send(...['a', 'b'].map((id) => ({ action: 'alert', payload: alert(id) })))
    await target.until(1)
    const deployed = rig.redeploy({ url: target.url(), name: 'new' })
    release()
    await deployed
    assert.deepEqual(
      target.bodies().map(({ alertId }) => alertId),
      ['a', 'b'],
    )
  })

  it('nodeMessageBufferMaxLength bounds the queue', async () => {
    helper.settings({ nodeMessageBufferMaxLength: 1 } as never)
    const rig = await start({ concurrency: 1, timeoutMs: 300, retries: 0 })
    target.answers = [silent]
    rig.send(...['a', 'b', 'c'].map((id) => ({ action: 'alert', payload: alert(id) })))
    const [failure] = await rig.until('second')
    assert.deepEqual([failure.payload.alertId, failure.delivery.error.code], ['c', 'BUFFER_FULL'])
  })

  it('shows how it fares', async () => {
    const rig = await start({ retries: 0, breakAfter: 2 })
    const ready = await rig.status(({ text }) => text === 'status.sent')
    assert.deepEqual([ready.fill, ready.shape], ['green', 'dot'])
    target.answers = [status(500), status(500)]
    rig.send({ action: 'alert', payload: alert('a') })
    await rig.status(({ text }) => text === 'error.TRANSPORT')
    rig.send({ action: 'alert', payload: alert('b') })
    await rig.status(({ text }) => text === 'error.CIRCUIT_OPEN')
  })

  it('its test says what it found, or why it fails', async () => {
    const rig = await start()
    const outlet = stateOf<Outlet>({ nodes: { getNode: () => rig.node } } as never, 'node') as Outlet
    const { ms: _, ...good } = (await outlet.test()) as { ms: number }
    assert.deepEqual(good, { ok: true, found: 'HTTP 200' })
    target.answers = [status(401)]
    const { message: __, ...bad } = (await outlet.test()) as { message: string }
    assert.deepEqual(bad, { ok: false, fault: 'auth' })
  })
})
