import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as ioredis from 'ioredis'
import {
  type ActionDriver,
  createDriver,
  type DeliveryOptions,
  type DriverError,
  type RedisConfig,
} from '../../nodes/action/lib'
import redisNode from '../../nodes/action/redis'
import { safeSentinelConnector } from '../../nodes/shared/redis'
import { freePort } from '../shared/port'
import { certificates } from './certificates'
import { missing, RedisServer } from './redis-server'
import { alert, type Json, measurement, Rig } from './rig'

/** What ioredis keeps to itself. */
interface Sentinels {
  connect(tell: () => void): Promise<NodeJS.EventEmitter>
  connectToSentinel(at: object): ioredis.Redis
  disconnect(): void
}

const at = 1_700_000_000_123
const fast: DeliveryOptions = { backoffMs: 20, timeoutMs: 3000 }

const fails = async (promise: Promise<unknown>): Promise<DriverError> =>
  promise.then(
    () => assert.fail('it was delivered'),
    (error) => error,
  )

const open: ActionDriver[] = []
function driverOf(port: number, config: RedisConfig & DeliveryOptions = {}): ActionDriver {
  const driver = createDriver('redis', { ...fast, hosts: [{ host: '127.0.0.1', port }], ...config })
  open.push(driver)
  return driver
}
const closeAll = () => Promise.all(open.splice(0).map((driver) => driver.shutdown()))

function suite(title: string, body: () => void): void {
  if (!missing) return void describe(title, body)
  console.log(`\nSKIPPED ${title} (${missing})\n`)
  describe(title, () => it.skip(String(missing)))
}

describe('driver redis: wrong settings', () => {
  const wrong: [what: string, config: RedisConfig][] = [
    ['an empty key', { key: '' }],
    ['sentinels without a master', { topology: 'sentinel' }],
    ['certificates that cannot be read', { tls: { cert: 'no', key: 'no' } }],
  ]
  for (const [what, config] of wrong) {
    it(`${what} are refused`, () => assert.throws(() => driverOf(1, config), { code: 'INVALID_OPTION' }))
  }
})

suite('driver redis', () => {
  let server: RedisServer
  let client: ioredis.Redis
  before(async () => {
    server = await RedisServer.start()
    client = server.client()
  })
  afterEach(async () => {
    await closeAll()
    await client.flushall()
  })
  after(() => server.remove())
  const driver = (config: RedisConfig & DeliveryOptions = {}) => driverOf(server.port, config)
  const keys = async () => (await client.keys('*')).sort()
  const jsonAt = async (key: string) => JSON.parse((await client.get(key)) ?? 'null')

  describe('keys', () => {
    it('a measurement is the latest, and one of many', async () => {
      const { result } = await driver().onMeasurement(measurement(7) as never)
      assert.deepEqual(result, { keys: ['millrace:latest:sensor', `millrace:display:sensor:${at}`] })
      assert.deepEqual(await jsonAt('millrace:latest:sensor'), measurement(7))
      assert.deepEqual(await jsonAt(`millrace:display:sensor:${at}`), measurement(7))
      const ttl = await client.ttl(`millrace:display:sensor:${at}`)
      assert.ok(ttl > 3590 && ttl <= 3600, String(ttl))
    })

    it('two within one second, and within one millisecond, both survive; a clear removes them all', async () => {
      const redis = driver()
      await redis.onMeasurement(measurement(1) as never)
      await redis.onMeasurement(measurement(2) as never)
      await redis.onMeasurement(measurement(3, { timestamp: at + 1 }) as never)
      await redis.onAlert(alert('a') as never)
      await redis.onAlert(alert('b') as never)
      await redis.onMeasurement(measurement(9, { sourceNodeId: 'other' }) as never)
      const values = (await keys()).filter((key) => /:(display|alert):sensor:/.test(key))
      assert.deepEqual(
        values,
        [
          `millrace:alert:sensor:${at}`,
          `millrace:alert:sensor:${at}-1`,
          `millrace:display:sensor:${at}`,
          `millrace:display:sensor:${at + 1}`,
          `millrace:display:sensor:${at}-1`,
        ].sort(),
      )
      assert.equal((await jsonAt('millrace:latest_alert')).alertId, 'b')
      // Another driver, as after a restart.
      await closeAll()
      const { result } = await driver().clear(alert('b', { reason: 'ended' }) as never)
      assert.deepEqual(result, { removed: 7 })
      assert.deepEqual(await keys(), [
        `millrace:display:other:${at}`,
        'millrace:latest:other',
        'millrace:written:other',
      ])
    })

    it('the latest alert stays where it is another one', async () => {
      const redis = driver()
      await redis.onAlert(alert('a') as never)
      await redis.onAlert(alert('b', { sourceNodeId: 'other' }) as never)
      await redis.clear(alert('a', { reason: 'ended' }) as never)
      assert.equal((await jsonAt('millrace:latest_alert')).alertId, 'b')
    })

    it('what was written by an earlier try of the same is not written twice', async () => {
      await client.set(`millrace:display:sensor:${at}`, JSON.stringify(measurement(7)))
      await driver().onMeasurement(measurement(7) as never)
      assert.deepEqual(
        (await keys()).filter((key) => key.includes('display')),
        [`millrace:display:sensor:${at}`],
      )
    })

    it('without an expiry keys stay, and a clear finds them', async () => {
      const redis = driver({ expireSeconds: null, key: 'gas' })
      await redis.onMeasurement(measurement(7) as never)
      await redis.onMeasurement(measurement(8) as never)
      assert.equal(await client.ttl(`gas:display:sensor:${at}`), -1)
      assert.deepEqual(await jsonAt(`gas:display:sensor:${at}`), measurement(7))
      await redis.clear(alert('a', { reason: 'ended' }) as never)
      assert.deepEqual(await keys(), [])
    })

    it('expired keys leave their list, too', async () => {
      const redis = driver({ expireSeconds: 0.02 })
      await redis.onMeasurement(measurement(1) as never)
      while ((await client.exists(`millrace:display:sensor:${at}`)) === 1) await new Promise(setImmediate)
      await redis.onMeasurement(measurement(2, { timestamp: at + 5000 }) as never)
      assert.ok((await client.zcard('millrace:written:sensor')) <= 1)
    })

    it('a message without a time has that of its arrival', async () => {
      const { result } = await driver().onMessage('text', 'topic')
      const [, key] = (result as { keys: string[] }).keys
      assert.ok(Math.abs(Number(key?.split(':').at(-1)) - Date.now()) < 60_000)
      assert.equal(await jsonAt('millrace:latest:topic'), 'text')
    })
  })

  it('pub/sub: measurements to the channel, alerts and clears beside it', async () => {
    const heard: [string, Json][] = []
    const listener = server.client()
    await listener.subscribe('gas', 'gas:alert')
    listener.on('message', (channel, text) => heard.push([channel, JSON.parse(text)]))
    const redis = driver({ mode: 'pubsub', key: 'gas' })
    const { result } = await redis.onMeasurement(measurement(7) as never)
    await redis.onAlert(alert('a') as never)
    await redis.clear(alert('a', { reason: 'ended' }) as never)
    while (heard.length < 3) await new Promise(setImmediate)
    assert.deepEqual(result, { channel: 'gas', receivers: 1 })
    assert.deepEqual(heard, [
      ['gas', measurement(7)],
      ['gas:alert', alert('a')],
      ['gas:alert', { ...alert('a', { reason: 'ended' }), type: 'clear_action' }],
    ])
    assert.deepEqual(await keys(), [])
  })

  it('streams: entries in order, about so many', async () => {
    const redis = driver({ mode: 'stream', key: 'gas', maxLength: 100, concurrency: 8 })
    await Promise.all(Array.from({ length: 1000 }, (_, value) => redis.onMeasurement(measurement(value) as never)))
    await redis.onAlert(alert('a') as never)
    await redis.clear(alert('a', { reason: 'ended' }) as never)
    const entries = (await client.xrange('gas', '-', '+')) as [string, string[]][]
    assert.ok(entries.length >= 100 && entries.length < 300, String(entries.length))
    const values = entries.map(([, fields]) => JSON.parse(fields[5] as string).value)
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    )
    const [first] = (await client.xrange('gas:alert', '-', '+')) as [string, string[]][]
    assert.deepEqual(first?.[1].slice(0, 4), ['type', 'alert', 'source', 'sensor'])
    assert.equal(await client.xlen('gas:alert'), 2)
  })

  it('a key of another kind is refused, not tried again', async () => {
    await client.set('gas', 'text')
    const redis = driver({ mode: 'stream', key: 'gas' })
    const error = await fails(redis.onMeasurement(measurement(1) as never))
    assert.deepEqual([error.code, error.attempts], ['REFUSED', 1])
  })

  it('data that is no JSON is an error of the message', async () => {
    assert.equal((await fails(driver().onMessage(1n))).code, 'INVALID_INPUT')
  })

  it('its test says the version', async () => assert.match(await driver().test(), /^Redis \d+\.\d+/))

  it('an ACL user may do what the server allows', async () => {
    await client.call('ACL', 'SETUSER', 'gauge', 'on', '>secret', '~gas*', '&gas*', '+@all', '-xadd')
    const good = driver({ username: 'gauge', password: 'secret', key: 'gas' })
    await good.onMeasurement(measurement(1) as never)
    const wrong = async (config: RedisConfig) => {
      const { code, fault } = await fails(driver(config).onMeasurement(measurement(1) as never))
      return `${code} ${fault}`
    }
    assert.deepEqual(
      [
        await wrong({ username: 'gauge', password: 'wrong', key: 'gas' }),
        await wrong({ username: 'gauge', password: 'secret', key: 'other' }),
        await wrong({ username: 'gauge', password: 'secret', key: 'gas', mode: 'stream' }),
      ],
      ['REFUSED auth', 'REFUSED permission', 'REFUSED permission'],
    )
    assert.equal((await fails(driver({ username: 'gauge', password: 'wrong' }).test())).fault, 'auth')
  })

  it('a database of its own', async () => {
    await driver({ db: 3 }).onMeasurement(measurement(1) as never)
    assert.equal(await client.exists('millrace:latest:sensor'), 0)
  })
})

suite('driver redis: outages', () => {
  afterEach(closeAll)

  it('a server that comes later: failure to open is visible, and goes by itself', async () => {
    const port = await freePort()
    const redis = driverOf(port)
    const error = await fails(redis.initialize())
    assert.deepEqual([error.code, error.fault, redis.state.state], ['TRANSPORT', 'refused', 'failed'])
    const server = await RedisServer.start([], [], port)
    while (redis.state.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 10))
    await redis.onMeasurement(measurement(1) as never)
    await server.remove()
  })

  it('a server that restarts: what is sent meanwhile arrives', async () => {
    const server = await RedisServer.start()
    const redis = driverOf(server.port, { retries: 100, maxBackoffMs: 200, breakAfter: null })
    await redis.onMeasurement(measurement(1) as never)
    await server.stop()
    const sent = redis.onMeasurement(measurement(2) as never)
    while (redis.state.retried === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await server.run()
    assert.ok((await sent).attempts > 1)
    assert.equal(JSON.parse((await server.client().get('millrace:latest:sensor')) ?? '').value, 2)
    await server.remove()
  })

  it('a driver that closes while it opens leaves no connection behind', async () => {
    const server = await RedisServer.start()
    const client = server.client()
    const before = await client.info('clients')
    const redis = driverOf(server.port)
    const opened = fails(redis.initialize())
    await redis.shutdown()
    assert.equal((await opened).code, 'CLOSED')
    const connected = (text: string) => /connected_clients:(\d+)/.exec(text)?.[1]
    while (connected(await client.info('clients')) !== connected(before)) await new Promise(setImmediate)
    await server.remove()
  })

  it('a name that nobody knows, and a port where nobody is', async () => {
    const unknown = driverOf(1, { hosts: [{ host: 'nowhere.invalid', port: 6379 }] })
    const closed = driverOf(await freePort())
    assert.deepEqual([(await fails(unknown.test())).fault, (await fails(closed.test())).fault], ['dns', 'refused'])
  })
})

suite('driver redis: TLS', () => {
  const made = certificates()
  if (!made) {
    console.log('\nSKIPPED driver redis: TLS (no openssl)\n')
    it.skip('there is no openssl')
    return
  }
  after(() => made.remove())
  afterEach(closeAll)
  const linesOf = (port: number) => [
    `tls-port ${port}`,
    `tls-cert-file ${made.path('server.pem')}`,
    `tls-key-file ${made.path('server.key')}`,
    `tls-ca-cert-file ${made.path('ca.pem')}`,
  ]
  const tls = { ca: made.read('ca.pem'), cert: made.read('client.pem'), key: made.read('client.key') }

  it('with an own authority and a client certificate', async () => {
    const port = await freePort()
    const server = await RedisServer.start(linesOf(port))
    const good = driverOf(port, { tls })
    await good.onMeasurement(measurement(1) as never)
    assert.match(await good.test(), /^Redis/)
    assert.equal((await fails(driverOf(port, { tls: { ...tls, ca: made.read('other.pem') } }).test())).fault, 'tls')
    assert.notEqual((await fails(driverOf(port, { tls: { ca: tls.ca } }).test())).fault, 'other')
    await closeAll()
    await server.remove()
  })

  it('behind sentinels, where a handshake that fails is an error of the driver alone', async () => {
    const [port, ofSentinel] = [await freePort(), await freePort()]
    const server = await RedisServer.start(linesOf(port))
    const monitor = ['tls-replication yes', `sentinel monitor main 127.0.0.1 ${port} 1`]
    const sentinel = await RedisServer.start([...linesOf(ofSentinel), ...monitor], ['--sentinel'])
    const sentinels = { topology: 'sentinel', master: 'main' } as const
    const good = driverOf(ofSentinel, { ...sentinels, tls })
    await good.onMeasurement(measurement(1) as never)
    assert.match(await good.test(), /^Redis/)
    for (const bad of [{ ca: tls.ca }, { ...tls, ca: made.read('other.pem') }]) {
      for (let round = 0; round < 5; round += 1) {
        assert.equal((await fails(driverOf(ofSentinel, { ...sentinels, tls: bad }).test())).code, 'TRANSPORT')
      }
    }
    await closeAll()
    await sentinel.remove()
    await server.remove()
  })
})

suite('driver redis: many servers', () => {
  afterEach(closeAll)

  it('a cluster', async () => {
    const server = await RedisServer.start([
      'cluster-enabled yes',
      'cluster-config-file nodes.conf',
      'cluster-announce-ip 127.0.0.1',
    ])
    const client = server.client()
    await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    while (!String(await client.cluster('INFO')).includes('cluster_state:ok')) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const redis = driverOf(server.port, { topology: 'cluster' })
    await redis.onMeasurement(measurement(1) as never)
    await redis.onAlert(alert('a') as never)
    assert.match(await redis.test(), /^Redis/)
    await redis.clear(alert('a', { reason: 'ended' }) as never)
    assert.deepEqual(await client.keys('*'), [])
    assert.equal((await fails(driverOf(await freePort(), { topology: 'cluster' }).test())).code, 'TRANSPORT')
    await closeAll()
    await server.remove()
  })

  it('sentinels', async () => {
    const server = await RedisServer.start()
    const monitor = `sentinel monitor main 127.0.0.1 ${server.port} 1`
    const sentinel = await RedisServer.start([monitor], ['--sentinel'])
    const redis = driverOf(sentinel.port, { topology: 'sentinel', master: 'main' })
    await redis.onMeasurement(measurement(1) as never)
    assert.equal(await server.client().exists('millrace:latest:sensor'), 1)
    assert.match(await redis.test(), /^Redis/)
    await closeAll()
    await sentinel.remove()
    await server.remove()
  })
})

suite('driver redis: a connection that fails twice', () => {
  it('through sentinels, and to them, is heard each time', async () => {
    const server = await RedisServer.start()
    const monitor = `sentinel monitor main 127.0.0.1 ${server.port} 1`
    const sentinel = await RedisServer.start([monitor], ['--sentinel'])
    const at = { host: '127.0.0.1', port: sentinel.port }
    const Connector = safeSentinelConnector(ioredis)
    const connector = new Connector({ sentinels: [at], name: 'main' }) as unknown as Sentinels
    const through = await connector.connect(() => {})
    const own = connector.connectToSentinel(at)
    own.on('error', () => {})
    await once(own, 'ready')
    for (const stream of [through, own.stream, through, own.stream]) stream.emit('error', new Error('again'))
    own.disconnect()
    connector.disconnect()
    await sentinel.remove()
    await server.remove()
  })
})

suite('millrace-action-redis', () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start(['requirepass secret'])
  })
  afterEach(Rig.stop)
  after(() => server.remove())
  const start = (config: Json = {}, credentials: Json = { password: 'secret' }) => {
    const own = { hosts: `127.0.0.1:${server.port}`, backoffMs: 20, ...config }
    return Rig.start(redisNode, 'millrace-action-redis', own, { credentials })
  }

  it('writes, says where, and clears', async () => {
    const rig = await start()
    const client = server.client({ password: 'secret' })
    rig.send({ _msgid: 'm', action: 'alert', payload: alert('a') })
    const [written] = await rig.until('first')
    assert.deepEqual(written.result, { keys: ['millrace:latest_alert', `millrace:alert:sensor:${at}`] })
    assert.equal(written._msgid, 'm')
    rig.send({ action: 'clear', payload: alert('a', { reason: 'ended' }) })
    await rig.until('completed', 2)
    assert.deepEqual(await client.keys('*'), [])
  })

  it('a wrong password is said at once, and stays an error of each message', async () => {
    const rig = await start({}, { password: 'wrong' })
    await rig.until('error')
    const status = await rig.status(({ text }) => text === 'error.REFUSED')
    assert.equal(status.fill, 'red')
    rig.send({ action: 'alert', payload: alert('a') })
    const [failure] = await rig.until('second')
    assert.equal(failure.delivery.error.code, 'REFUSED')
  })

  it('a redeploy while the server is down ends in time', async () => {
    const down = await freePort()
    const rig = await start({ hosts: `127.0.0.1:${down}` })
    rig.send({ action: 'alert', payload: alert('a') })
    const begun = performance.now()
    await rig.redeploy({ hosts: `127.0.0.1:${server.port}`, name: 'new' }, { credentials: { password: 'secret' } })
    assert.ok(performance.now() - begun < 8000)
    assert.equal((await rig.until('second'))[0].delivery.error.code, 'TRANSPORT')
  })
})
