import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that systems give to connections: until its server listens, nothing else gets it by chance. */
const [FIRST, COUNT] = [20_000, 12_000]

/** A port on loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
