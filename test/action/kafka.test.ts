import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { Consumer } from '@platformatic/kafka'
import kafkaNode from '../../nodes/action/kafka'
import {
  type ActionDriver,
  createDriver,
  type DeliveryOptions,
  type DriverError,
  type KafkaConfig,
} from '../../nodes/action/lib'
import { freePort } from '../shared/port'
import { certificates } from './certificates'
import { KafkaBroker, missing } from './kafka-broker'
import { alert, type Json, measurement, Rig } from './rig'

const fast: DeliveryOptions = { backoffMs: 20, timeoutMs: 5000 }

const open: ActionDriver[] = []
function driverOf(port: number, config: KafkaConfig & DeliveryOptions = {}): ActionDriver {
  const driver = createDriver('kafka', { ...fast, brokers: [{ host: '127.0.0.1', port }], ...config })
  open.push(driver)
  return driver
}
const closeAll = () => Promise.all(open.splice(0).map((driver) => driver.shutdown()))

const fails = async (promise: Promise<unknown>): Promise<DriverError> =>
  promise.then(
    () => assert.fail('it was delivered'),
    (error) => error,
  )

describe('driver kafka: settings', () => {
  const wrong: [string, KafkaConfig][] = [
    ['a topic that Kafka does not allow', { topic: 'a b' }],
    ['acks that nobody knows', { acks: 'most' as never }],
    ['idempotence without all acks', { acks: 'leader', idempotent: true }],
    ['a compression that needs a native part', { compression: 'snappy' as never }],
    ['no batch', { batch: 0 }],
    ['a certificate that cannot be read', { tls: { key: 'none' } }],
  ]
  for (const [title, config] of wrong) {
    it(`${title} is refused`, () => assert.throws(() => createDriver('kafka', config), { code: 'INVALID_OPTION' }))
  }

  it('zstd is refused by a Node.js that does not have it', () => {
    const make = () => createDriver('kafka', { compression: 'zstd' })
    if ('zstdCompressSync' in require('node:zlib')) make()
    else assert.throws(make, { code: 'INVALID_OPTION' })
  })

  it('a name that nobody knows, and a port where nobody is', async () => {
    const unknown = driverOf(1, { brokers: [{ host: 'nowhere.invalid', port: 9092 }] })
    const closed = driverOf(await freePort())
    assert.deepEqual([(await fails(unknown.test())).fault, (await fails(closed.test())).fault], ['dns', 'refused'])
    await closeAll()
  })
})

/** Says it to everyone who asks, in turn. */
async function strange(...answers: Buffer[]): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => answers.map((answer) => socket.write(answer)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

describe('driver kafka: another side that is no broker', () => {
  const cases: [string, Buffer[]][] = [
    ['answers to what nobody asked, again and again', [Buffer.from('0000000400000063', 'hex'), Buffer.alloc(8)]],
    ['an answer that ends too early', [Buffer.from('0000000400000001', 'hex')]],
    ['HTTP', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
    ['silence', []],
  ]
  for (const [title, answers] of cases) {
    it(`${title}: a failure, and no more`, async () => {
      const server = await strange(...answers)
      const { port } = server.address() as { port: number }
      const kafka = driverOf(port, { timeoutMs: 300, retries: 1 })
      const error = await fails(kafka.onMeasurement(measurement(1) as never))
      assert.ok(['TRANSPORT', 'TIMEOUT', 'REFUSED'].includes(error.code), error.message)
      await closeAll()
      server.close()
      // Its connections are ended by the driver, not by the other side.
      await once(server, 'close')
    })
  }
})

function suite(title: string, body: (this: Mocha.Suite) => void): void {
  if (!missing) return void describe(title, body)
  console.log(`\nSKIPPED ${title}: ${missing}\n`)
  describe.skip(title, body)
}

interface Read {
  key: string
  value: Json
  headers: { [name: string]: string }
  partition: number
}

suite('driver kafka', function () {
  this.timeout(60_000)
  const made = certificates()
  let broker: KafkaBroker
  let topics = 0
  let topic: string

  before(async () => {
    const tls = made && [
      'listener.name.secure.ssl.keystore.type=PEM',
      `listener.name.secure.ssl.keystore.location=${made.pair('server')}`,
      'listener.name.secure.ssl.truststore.type=PEM',
      `listener.name.secure.ssl.truststore.location=${made.path('ca.pem')}`,
      'listener.name.secure.ssl.client.auth=required',
    ]
    const login = (name: string, module: string, more = '') =>
      `listener.name.login.${name}.sasl.jaas.config=org.apache.kafka.common.security.${module} required${more};`
    broker = await KafkaBroker.start(
      { LOGIN: 'SASL_PLAINTEXT', ...(tls && { SECURE: 'SSL' }) },
      [
        'listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER',
        login('plain', 'plain.PlainLoginModule', ' user_gauge="secret" user_stranger="secret"'),
        login('scram-sha-256', 'scram.ScramLoginModule'),
        login('oauthbearer', 'oauthbearer.OAuthBearerLoginModule', ' unsecuredLoginStringClaim_sub="broker"'),
        'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users=User:ANONYMOUS;User:gauge;User:CN=client',
        ...(tls ?? []),
      ],
      ['SCRAM-SHA-256=[name=gauge,password=secret]'],
    )
  })
  after(async () => {
    await broker?.remove()
    made?.remove()
  })
  beforeEach(async () => {
    topics += 1
    topic = `t${topics}`
    await broker.make([`${topic}.display`, `${topic}.alerts`])
  })
  afterEach(closeAll)

  const driver = (config: KafkaConfig & DeliveryOptions = {}) =>
    driverOf(broker.ports.plain as number, { topic, ...config })

  /** Reads so many records of a topic, in the order of each partition. */
  async function read(name: string, enough: number | ((found: Read[]) => boolean)): Promise<Read[]> {
    const bootstrapBrokers = [{ host: '127.0.0.1', port: broker.ports.plain as number }]
    // The first group makes the broker's own topic for groups, which may take it a while.
    const patience = { retries: 100, retryDelay: 200 }
    const consumer = new Consumer({
      groupId: `${name}-${Math.random()}`,
      clientId: 'test',
      bootstrapBrokers,
      ...patience,
    })
    const stream = await consumer.consume({ topics: [name], mode: 'earliest', autocommit: false, maxWaitTime: 100 })
    const found: Read[] = []
    for await (const { key, value, headers, partition } of stream) {
      const named = [...headers].map(([name, text]) => [String(name), String(text)])
      found.push({ key: String(key), value: JSON.parse(String(value)), headers: Object.fromEntries(named), partition })
      if (typeof enough === 'number' ? found.length === enough : enough(found)) break
    }
    await consumer.close(true)
    return found
  }

  it('measurements go to display, keyed by source; alerts and clears to alerts, keyed by type', async () => {
    const kafka = driver({ headers: { site: 'north' } })
    const { result, attempts } = await kafka.onMeasurement(measurement(7) as never)
    assert.deepEqual([result, attempts], [{ topic: `${topic}.display`, key: 'sensor' }, 1])
    await kafka.onAlert(alert('a') as never)
    await kafka.clear(alert('a', { reason: 'ended' }) as never)
    const [shown] = await read(`${topic}.display`, 1)
    assert.deepEqual(
      [shown?.key, shown?.value, shown?.headers],
      ['sensor', measurement(7), { site: 'north', type: 'measurement' }],
    )
    const alerts = await read(`${topic}.alerts`, 2)
    assert.deepEqual(
      alerts.map(({ key, value, headers }) => [key, value.type, headers.type]),
      [
        ['Concentration', undefined, 'alert'],
        ['Concentration', 'clear_action', 'clear'],
      ],
    )
    assert.equal(new Set(alerts.map(({ partition }) => partition)).size, 1)
  })

  for (const config of [{ acks: 'leader' }, { compression: 'gzip' }, { idempotent: false }] satisfies KafkaConfig[]) {
    it(`${JSON.stringify(config)} does`, async () => {
      const kafka = driver(config)
      await Promise.all([1, 2, 3].map((value) => kafka.onMeasurement(measurement(value) as never)))
      assert.deepEqual(
        (await read(`${topic}.display`, 3)).map(({ value }) => value.value),
        [1, 2, 3],
      )
    })
  }

  it('a message without a source has no key; a Buffer goes as it is; no JSON is an error of the message', async () => {
    const kafka = driver()
    assert.deepEqual((await kafka.onMessage(Buffer.from('{"raw":true}'))).result, {
      topic: `${topic}.display`,
      key: null,
    })
    assert.deepEqual((await read(`${topic}.display`, 1))[0]?.value, { raw: true })
    assert.equal((await fails(kafka.onMessage(1n))).code, 'INVALID_INPUT')
  })

  it('what comes together goes together, in order by key, and none is lost', async () => {
    const count = process.env.MILLRACE_LONG ? 1_000_000 : 20_000
    const sources = 500
    const kafka = driver({ concurrency: 1000, queue: 1_000_000, timeoutMs: 60_000 })
    const step = sources * 20
    const begun = performance.now()
    for (let at = 0; at < count; at += step) {
      const values = Array.from({ length: Math.min(step, count - at) }, (_, offset) => at + offset)
      const send = (value: number) =>
        kafka.onMeasurement({ sourceNodeId: `s${value % sources}`, timestamp: value, value } as never)
      await Promise.all(values.map(send))
    }
    const perSecond = Math.round((count / (performance.now() - begun)) * 1000)
    console.log(`      ${count} messages, ${perSecond} a second`)
    const latest = new Map<string, number>()
    for (const { key, value } of await read(`${topic}.display`, count)) {
      const before = latest.get(key) ?? Number(key.slice(1)) - sources
      assert.equal(value.value, before + sources)
      latest.set(key, value.value as number)
    }
    assert.equal(latest.size, sources)
  }).timeout(process.env.MILLRACE_LONG ? 600_000 : 60_000)

  it('a message that is too large fails alone, at once', async () => {
    const kafka = driver()
    const sends = [1, 2, 3].map((value) =>
      kafka.onMeasurement(
        measurement(value, { sourceNodeId: `s${value}`, fill: 'x'.repeat(value === 2 ? 2e6 : 9) }) as never,
      ),
    )
    const ends = await Promise.allSettled(sends)
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    const { code, attempts } = (ends[1] as PromiseRejectedResult).reason as DriverError
    assert.deepEqual([code, attempts], ['TOO_LARGE', 1])
    const values = (await read(`${topic}.display`, 2)).map(({ value }) => value.value)
    assert.deepEqual(values.sort(), [1, 3])
  })

  it('many of which one is too large: the others arrive', async () => {
    topic += '-small'
    await broker.make([`${topic}.display`], [{ name: 'max.message.bytes', value: '2000' }])
    const kafka = driver({ batch: 500, retries: 100 })
    const sends = Array.from({ length: 40 }, (_, value) =>
      kafka.onMeasurement(
        measurement(value, { sourceNodeId: `s${value}`, fill: 'x'.repeat(value === 7 ? 3000 : 9) }) as never,
      ),
    )
    const ends = await Promise.allSettled(sends)
    assert.deepEqual(
      ends.flatMap(({ status }, at) => (status === 'rejected' ? [at] : [])),
      [7],
    )
    // Those beside it may be there twice.
    const all = (found: Read[]) => new Set(found.map(({ value }) => value.value)).size === 39
    assert.ok(!(await read(`${topic}.display`, all)).some(({ value }) => value.value === 7))
  })

  it('a missing topic is told by name, and delivered to once it is there', async () => {
    const kafka = driver({ topic: `${topic}-later`, retries: 1000, breakAfter: null, maxBackoffMs: 100 })
    const error = await fails(kafka.test())
    assert.deepEqual([error.code, error.fault], ['TRANSPORT', 'answer'])
    assert.ok(error.message.includes(`${topic}-later.display`))
    const sent = kafka.onMeasurement(measurement(1) as never)
    while (kafka.state.retried === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(kafka.state.lastError?.code, 'TRANSPORT')
    await broker.make([`${topic}-later.display`])
    assert.ok((await sent).attempts > 1)
  })

  it('its test says what it found', async () => {
    assert.equal(await driver().test(), `brokers: 1, partitions of ${topic}.display: 4, ${topic}.alerts: 4`)
  })

  const token = (sub: string) => {
    const seconds = Math.floor(Date.now() / 1000)
    const part = (value: Json) => Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${part({ alg: 'none' })}.${part({ sub, iat: seconds, exp: seconds + 600 })}.`
  }
  const user = { username: 'gauge', password: 'secret' }

  for (const sasl of [
    { mechanism: 'PLAIN', ...user },
    { mechanism: 'SCRAM-SHA-256', ...user },
    { mechanism: 'OAUTHBEARER', token: async () => token('gauge') },
  ] as const) {
    it(`SASL ${sasl.mechanism}`, async () => {
      const kafka = driverOf(broker.ports.login as number, { topic, sasl })
      await kafka.onMeasurement(measurement(1) as never)
      assert.match(await kafka.test(), /^brokers: 1/)
    })
  }

  it('a login that fails says at which step', async () => {
    const at = async (config: KafkaConfig, port = broker.ports.login as number) => {
      const { code, fault } = await fails(driverOf(port, { topic, ...config }).test())
      return `${code} ${fault}`
    }
    const wrong = { ...user, password: 'wrong' }
    assert.deepEqual(
      [
        await at({ sasl: { mechanism: 'PLAIN', ...wrong } }),
        await at({ sasl: { mechanism: 'SCRAM-SHA-256', ...wrong } }),
        await at({ sasl: { mechanism: 'SCRAM-SHA-512', ...user } }),
        await at({ sasl: { mechanism: 'OAUTHBEARER', token: 'no token' } }),
        await at({}),
      ],
      ['REFUSED auth', 'REFUSED auth', 'REFUSED auth', 'REFUSED auth', 'TRANSPORT reset'],
    )
    const stranger = driverOf(broker.ports.login as number, {
      topic,
      sasl: { mechanism: 'PLAIN', ...user, username: 'stranger' },
    })
    const error = await fails(stranger.onMeasurement(measurement(1) as never))
    assert.deepEqual([error.code, error.fault, error.attempts], ['REFUSED', 'permission', 1])
  })

  it('TLS with an own authority and a client certificate', async function () {
    if (!made) {
      console.log('\nSKIPPED driver kafka: TLS (no openssl)\n')
      return this.skip()
    }
    const port = broker.ports.secure as number
    const tls = { ca: made.read('ca.pem'), cert: made.read('client.pem'), key: made.read('client.key') }
    const good = driverOf(port, { topic, tls })
    await good.onMeasurement(measurement(1) as never)
    assert.equal(
      (await fails(driverOf(port, { topic, tls: { ...tls, ca: made.read('other.pem') } }).test())).fault,
      'tls',
    )
    assert.notEqual((await fails(driverOf(port, { topic, tls: { ca: tls.ca } }).test())).fault, 'other')
    assert.equal(
      (await fails(driverOf(broker.ports.plain as number, { topic, tls, timeoutMs: 2000 }).test())).code,
      'TRANSPORT',
    )
  })

  it('slow acks: what is not confirmed in time is tried again, and arrives', async () => {
    const kafka = driver({ timeoutMs: 700, retries: 1000, breakAfter: null, maxBackoffMs: 100 })
    await kafka.onMeasurement(measurement(1) as never)
    broker.freeze()
    const sent = [2, 3, 4].map((value) => kafka.onMeasurement(measurement(value) as never))
    while (kafka.state.retried < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(kafka.state.lastError?.code, 'TIMEOUT')
    broker.thaw()
    await Promise.all(sent)
    const seen: unknown[] = []
    for (const { value } of await read(`${topic}.display`, 4)) if (!seen.includes(value.value)) seen.push(value.value)
    assert.deepEqual(seen, [1, 2, 3, 4].slice(0, seen.length))
  })

  it('a broker that is down is told, and when it is back all that was sent meanwhile arrives, in order by key', async () => {
    const kafka = driver({ retries: 1000, maxBackoffMs: 200, breakAfter: null, queue: 100_000 })
    const sends: Promise<unknown>[] = []
    let value = 0
    const send = () =>
      sends.push(kafka.onMeasurement(measurement(value++, { sourceNodeId: `s${value % 10}` }) as never))
    for (let at = 0; at < 500; at += 1) send()
    await sends[20]
    await broker.stop()
    for (let at = 0; at < 500; at += 1) send()
    while (kafka.state.retried === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(kafka.state.lastError?.code, 'TRANSPORT')
    const other = driver({ maxBackoffMs: 200 })
    const error = await fails(other.initialize())
    assert.deepEqual([error.code, error.fault, other.state.state], ['TRANSPORT', 'refused', 'failed'])
    const rig = await Rig.start(kafkaNode, 'millrace-action-kafka', settings({ retries: 0 }))
    rig.send({ action: 'alert', payload: alert('a') })
    assert.equal((await rig.until('second'))[0].delivery.error.code, 'TRANSPORT')
    await Rig.stop()
    await broker.run()
    await Promise.all(sends)
    // A failure to open goes by itself.
    while (other.state.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 10))
    // Some may be there twice.
    const all = (found: Read[]) => new Set(found.map(({ value }) => value.value)).size === 1000
    const firsts = new Map<string, number[]>()
    for (const { key, value } of await read(`${topic}.display`, all)) {
      const own = firsts.get(key) ?? []
      if (!own.includes(value.value as number)) own.push(value.value as number)
      firsts.set(key, own)
    }
    assert.equal([...firsts.values()].flat().length, 1000)
    for (const own of firsts.values()) {
      assert.deepEqual(
        own,
        [...own].sort((a, b) => a - b),
      )
    }
  })

  const settings = (config: Json = {}) => ({
    brokers: `127.0.0.1:${broker.ports.plain}`,
    topic,
    backoffMs: 20,
    ...config,
  })

  describe('millrace-action-kafka', () => {
    afterEach(Rig.stop)

    it('is done when the broker has it, and says where', async () => {
      const rig = await Rig.start(
        kafkaNode,
        'millrace-action-kafka',
        settings({ headers: 'site: north', acks: 'leader' }),
      )
      rig.send({ _msgid: 'm', action: 'alert', payload: alert('a') })
      const [written] = await rig.until('first')
      assert.deepEqual([written._msgid, written.result], ['m', { topic: `${topic}.alerts`, key: 'Concentration' }])
      await rig.until('completed')
      const [found] = await read(`${topic}.alerts`, 1)
      assert.deepEqual([found?.value, found?.headers.site], [alert('a'), 'north'])
    })

    it('logs in by its credentials; a wrong password is said at once', async () => {
      const own = settings({ brokers: `127.0.0.1:${broker.ports.login}`, sasl: 'PLAIN' })
      const good = await Rig.start(kafkaNode, 'millrace-action-kafka', own, { credentials: user })
      good.send({ action: 'alert', payload: alert('a') })
      await good.until('first')
      await Rig.stop()
      const bearer = { ...own, sasl: 'OAUTHBEARER' }
      const other = await Rig.start(kafkaNode, 'millrace-action-kafka', bearer, {
        credentials: { token: token('gauge') },
      })
      other.send({ action: 'alert', payload: alert('a') })
      await other.until('first')
      await Rig.stop()
      const wrong = await Rig.start(kafkaNode, 'millrace-action-kafka', own, {
        credentials: { ...user, password: 'no' },
      })
      await wrong.until('error')
      const { fill } = await wrong.status(({ text }) => text === 'error.REFUSED')
      assert.equal(fill, 'red')
    })

    it('wrong settings are said', async () => {
      for (const wrong of [{ brokers: 'nowhere' }, { topic: 'a b' }, { clientId: 'a b' }, { headers: 'no header' }]) {
        const rig = await Rig.start(kafkaNode, 'millrace-action-kafka', settings(wrong))
        await rig.until('error')
        await Rig.stop()
      }
    })
  })
})
