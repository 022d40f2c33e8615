/** The way to the two servers: credentials, TLS, and what is said where it does not lead there. */
import assert from 'node:assert/strict'
import { tasks } from '../../nodes'
import { type Certificates, certificates } from '../action/certificates'
import { RedisServer } from '../action/redis-server'
import { freePort } from '../shared/port'
import { NatsServer } from './nats-server'
import { operator } from './operator'
import { brokerOf, Rig, sendOf, workerOf } from './rig'
import { missing, Servers } from './servers'

type Options = Partial<tasks.DistributedOptions>

describe('the way to NATS and Redis', function () {
  if (missing) {
    it.skip(missing)
    return
  }
  this.timeout(90_000)
  let servers: Servers
  before(async () => {
    servers = await Servers.start()
  })
  after(() => servers.remove())

  const options = (more: Options) => ({ ...servers.place().options, ...more })
  const works = async (more: Options) => {
    const app = await tasks.connect(options(more))
    try {
      app.task('add', (x: number, y: number) => x + y)
      await app.worker().start()
      assert.equal(await (await app.send('add', [1, 2])).get(), 3)
    } finally {
      await app.close()
    }
  }
  const fails = (more: Options, code: string, message: RegExp) =>
    assert.rejects(tasks.connect(options(more)), { code, message })

  it('names what is wrong in the options', async () => {
    await fails({ natsUrl: 'http://127.0.0.1' }, 'INVALID_OPTION', /natsUrl/)
    await fails({ redisUrl: '127.0.0.1:6379' }, 'INVALID_OPTION', /redisUrl/)
    await fails({ prefix: 'a.b' }, 'INVALID_OPTION', /prefix/)
    await fails({ maxPayloadBytes: 0 }, 'INVALID_OPTION', /maxPayloadBytes/)
    await fails({ tls: { cert: 'no PEM' } }, 'INVALID_OPTION', /certificate/)
    await fails({ size: 1 } as Options, 'INVALID_OPTION', /size/)
  })

  it('says where nothing listens, without the password of the URL', async () => {
    const port = await freePort()
    await fails(
      { natsUrl: `nats://127.0.0.1:${port}` },
      'TRANSPORT',
      new RegExp(`nats://127.0.0.1:${port}.*ECONNREFUSED`),
    )
    const redisUrl = `redis://user:secret@127.0.0.1:${port}`
    await fails({ redisUrl }, 'TRANSPORT', new RegExp(`'redis://127.0.0.1:${port}'.*ECONNREFUSED`))
    await fails({ natsUrl: 'nats://nowhere.invalid:4222' }, 'TRANSPORT', /ENOTFOUND|EAI_AGAIN/)
  })

  it('asks for credentials', async () => {
    const nats = await NatsServer.start(['authorization { user: mill, password: race }'])
    const redis = await RedisServer.start(['requirepass secret'])
    try {
      const natsUrl = nats.url
      const redisUrl = `redis://127.0.0.1:${redis.port}`
      await fails({ natsUrl }, 'REFUSED', /the user/)
      await fails({ natsUrl, credentials: { natsUser: 'mill', natsPassword: 'x' } }, 'REFUSED', /the user/)
      await fails({ redisUrl }, 'REFUSED', /the user/)
      await fails({ redisUrl, credentials: { redisPassword: 'x' } }, 'REFUSED', /the user/)
      await works({
        ...{ natsUrl, redisUrl },
        credentials: { natsUser: 'mill', natsPassword: 'race', redisPassword: 'secret' },
      })
      await works({ natsUrl: natsUrl.replace('//', '//mill:race@'), redisUrl: redisUrl.replace('//', '//:secret@') })
    } finally {
      await Promise.all([nats.remove(), redis.remove()])
    }
  })

  it('gets in with the text of a .creds file', async () => {
    const { lines, creds } = operator()
    const nats = await NatsServer.start(lines)
    try {
      await works({ natsUrl: nats.url, credentials: { natsCreds: creds } })
      await fails({ natsUrl: nats.url }, 'REFUSED', /the user/)
      await fails({ natsUrl: nats.url, credentials: { natsCreds: operator().creds } }, 'REFUSED', /the user/)
      await fails({ natsUrl: nats.url, credentials: { natsCreds: 'no creds' } }, 'INVALID_OPTION', /natsCreds/)
    } finally {
      await nats.remove()
    }
  })

  it('says where NATS has no JetStream', async () => {
    const nats = await NatsServer.start(['jetstream: disabled'])
    try {
      await fails({ natsUrl: nats.url }, 'REFUSED', /JetStream/)
    } finally {
      await nats.remove()
    }
  })

  it('refuses what the server would not take, with its size', async () => {
    const nats = await NatsServer.start(['max_payload: 4096'])
    const app = await tasks.connect(options({ natsUrl: nats.url }))
    try {
      await assert.rejects(app.send('a', ['x'.repeat(5000)]), {
        code: 'TOO_LARGE',
        message: /51\d\d bytes, more than the 4096/,
      })
      // A workflow of many parts is larger than a message, and goes all the same.
      app.task('one', () => 1)
      await app.worker().start()
      const part = app.task('one').s('x'.repeat(100))
      const all = await tasks.group(Array.from({ length: 50 }, () => part)).applyAsync()
      assert.equal((await all.get()).length, 50)
    } finally {
      await app.close()
      await nats.remove()
    }
  })

  it('speaks TLS', async function () {
    const made = certificates()
    if (!made) return this.skip()
    const own: Certificates = made
    const nats = await NatsServer.start([natsTls(own)])
    const port = await freePort()
    const redis = await RedisServer.start([
      ...[`tls-port ${port}`, `tls-cert-file ${own.path('server.pem')}`, `tls-key-file ${own.path('server.key')}`],
      ...[`tls-ca-cert-file ${own.path('ca.pem')}`, 'tls-auth-clients no'],
    ]).catch(() => undefined)
    try {
      const natsUrl = nats.url.replace('nats:', 'tls:').replace('127.0.0.1', 'localhost')
      const redisUrl = redis ? `rediss://localhost:${port}` : `redis://127.0.0.1:${servers.redis.port}`
      await works({ natsUrl, redisUrl, tls: { ca: own.read('ca.pem') } })
      await fails({ natsUrl, redisUrl, tls: { ca: own.read('other.pem') } }, 'TRANSPORT', /TLS/)
      if (redis) await fails({ redisUrl, tls: { ca: own.read('other.pem') } }, 'TRANSPORT', /TLS/)
    } finally {
      await Promise.all([nats.remove(), redis?.remove()])
      own.remove()
    }
  })

  it('speaks TLS and shows its credentials together', async function () {
    const made = certificates()
    if (!made) return this.skip()
    const { lines, creds } = operator()
    const [byCreds, byPassword] = await Promise.all([
      NatsServer.start([natsTls(made), ...lines]),
      NatsServer.start([natsTls(made), 'authorization { user: mill, password: race }']),
    ])
    try {
      const urlOf = ({ url }: NatsServer) => url.replace('nats:', 'tls:').replace('127.0.0.1', 'localhost')
      const [byCredsUrl, byPasswordUrl] = [urlOf(byCreds), urlOf(byPassword)]
      const tls = { ca: made.read('ca.pem') }
      const credentials = { natsUser: 'mill', natsPassword: 'race' }
      await works({ natsUrl: byCredsUrl, tls, credentials: { natsCreds: creds } })
      await works({ natsUrl: byPasswordUrl, tls, credentials })
      await works({ natsUrl: byPasswordUrl.replace('//', '//mill:race@'), tls })
      await fails({ natsUrl: byCredsUrl, tls }, 'REFUSED', /the user/)
      await fails({ natsUrl: byPasswordUrl, tls, credentials: { natsUser: 'mill' } }, 'REFUSED', /the user/)
      const other = { ca: made.read('other.pem') }
      await fails({ natsUrl: byCredsUrl, tls: other, credentials: { natsCreds: creds } }, 'TRANSPORT', /TLS/)
    } finally {
      await Promise.all([byCreds.remove(), byPassword.remove()])
      made.remove()
    }
  })

  it('the broker node connects, and its test says why not', async () => {
    const { natsUrl, redisUrl } = servers.place().options
    const kind = 'servers'
    try {
      const rig = await Rig.start(
        brokerOf({ kind, natsUrl, redisUrl, prefix: 'node' }),
        brokerOf({ id: 'away', kind, natsUrl: `nats://127.0.0.1:${await freePort()}`, redisUrl }),
        sendOf(),
        workerOf({ name: 'mill' }),
      )
      rig.send('send', { payload: [1, 2] })
      const [{ payload }] = await rig.until('task')
      assert.deepEqual(payload, [1, 2])
      const { body } = await rig.get('/millrace-tasks-broker/broker/view')
      assert.deepEqual([body.queues[0].name, body.workers[0].name], ['default', 'mill'])
      assert.equal((await rig.get('/millrace-tasks-broker/away/view')).body.code, 'TRANSPORT')
    } finally {
      await Rig.stop()
    }
  })
})

/** What a NATS server is told of its certificate. */
function natsTls(own: Certificates): string {
  const files = [
    ['cert_file', 'server.pem'] as const,
    ['key_file', 'server.key'] as const,
    ['ca_file', 'ca.pem'] as const,
  ]
  return `tls { ${files.map(([option, name]) => `${option}: "${own.path(name)}"`).join(', ')} }`
}
