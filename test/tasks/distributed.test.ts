import assert from 'node:assert/strict'
import { behaviour } from './behaviour'
import { randomSchedules } from './random'
import { missing, Servers } from './servers'

describe('the tasks library on NATS and Redis', function () {
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

  behaviour(() => servers.place())

  it('deletes more dead tasks than fit into one call of Redis', async () => {
    const place = servers.place()
    try {
      const app = await place.connect()
      app.task('bad', () => {
        throw new Error('bad')
      })
      await app.worker().start()
      const { id } = await (await app.send('bad', [], { maxRetries: 0 })).wait()
      const copies = `for n = 1, ARGV[2] do
        redis.call('COPY', KEYS[1] .. 'd:' .. ARGV[1], KEYS[1] .. 'd:copy-' .. n)
        redis.call('ZADD', KEYS[1] .. 'dead', n, 'copy-' .. n)
      end
      redis.call('HINCRBY', KEYS[1] .. 'q:default', 'dead', ARGV[2])`
      await servers.redis.client().eval(copies, 1, `{${place.options.prefix}}:`, id, 130_000)
      assert.deepEqual(await app.control.deleteDead(), { deleted: 130_001 })
      assert.equal((await app.control.count()).dead, 0)
    } finally {
      await place.remove()
    }
  })

  randomSchedules(() => servers.place(), process.env.MILLRACE_LONG ? 500 : 20)
})
