// All families under load for half an hour, or for so many minutes: `soak.mjs [minutes]`.
import { mochaTests } from './lib/mocha.mjs'
import { Failure, main } from './lib/run.mjs'
import { kafkaJars, natsServer, redisServer } from './lib/servers.mjs'
import { Suites } from './lib/suites.mjs'
import { setup } from './setup.mjs'

main(async () => {
  const minutes = process.argv[2] ?? '30'
  if (!(Number(minutes) > 0)) throw new Failure(`${minutes} is no number of minutes.`)
  await setup()
  const [redis, nats, kafka] = [await redisServer(), await natsServer(), await kafkaJars()]
  const suites = new Suites()
  await mochaTests(suites, ['test/runtime/soak.test.ts'], {
    MILLRACE_SOAK_MINUTES: minutes,
    ...(redis && { MILLRACE_REDIS_SERVER: redis }),
    ...(nats && { MILLRACE_NATS_SERVER: nats }),
    ...(kafka && { MILLRACE_KAFKA_JARS: kafka }),
  })
  suites.print()
  process.exitCode = suites.failed ? 1 : 0
})
