/** `npx tsx test/zerobus/serve.ts`: the server for the examples, until Ctrl-C. */
import { ZerobusServer } from './server'

void ZerobusServer.start({ ackDelayMs: 50 }).then((server) => {
  const counts = new Map<string, number>()
  console.log(JSON.stringify(server.config('main.default.readings'), undefined, 2))
  setInterval(() => {
    for (const table of server.kept.keys()) {
      const count = server.count(table)
      if (counts.get(table) !== count) console.log(`${table}: ${count} rows`)
      counts.set(table, count)
    }
  }, 1000)
})
