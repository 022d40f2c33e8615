/** A Zerobus server in a process of its own, which counts rows and forgets them. It tells how to reach it. */
import { ZerobusServer } from '../../test/zerobus/server'

const table = 'main.default.readings'

void ZerobusServer.start({ forget: true }).then((server) => {
  process.send?.({ ...server.config(table), endpoint: server.directEndpoint })
  process.on('message', () => process.send?.(server.count(table)))
  process.on('disconnect', () => process.exit())
})
