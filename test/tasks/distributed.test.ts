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
  randomSchedules(() => servers.place(), process.env.MILLRACE_LONG ? 500 : 20)
})
