/** `npm run zerobus`: the server for the examples, until Ctrl-C. */
import { standIn } from './stand-in'

void standIn().then((server) => {
  if (!server) {
    console.error('It runs already, or something else listens on its ports.')
    process.exitCode = 1
    return
  }
  const counts = new Map<string, number>()
  const { endpoint, unityCatalogUrl, clientId, clientSecret } = server.config('')
  console.log('Takes rows for any table until Ctrl-C, and counts them. Settings of the table node:')
  console.log(JSON.stringify({ endpoint, workspace: unityCatalogUrl, clientId, clientSecret }, undefined, 2))
  setInterval(() => {
    for (const table of server.kept.keys()) {
      const count = server.count(table)
      if (counts.get(table) !== count) console.log(`${table}: ${count} rows`)
      counts.set(table, count)
    }
  }, 1000)
})
