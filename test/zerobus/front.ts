/** Stands before a server and passes bytes on, so that a connection can be cut as a network cuts it. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Front {
  /** By the port at which the server sees the connection. */
  private readonly pairs = new Map<number, [Socket, Socket]>()
  /** Refuses connections while it is true: the endpoint is away. */
  away = false
  private readonly server: Server

  private constructor(private readonly target: number) {
    this.server = createServer((client) => this.pass(client))
  }

  static async start(target: number, port = 0): Promise<Front> {
    const front = new Front(target)
    await once(front.server.listen(port, '127.0.0.1'), 'listening')
    return front
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Cuts one connection, or all. */
  cut(port?: number): void {
    const found = port === undefined ? [...this.pairs.values()] : [this.pairs.get(port)]
    for (const pair of found) for (const socket of pair ?? []) reset(socket)
  }

  async stop(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private pass(client: Socket): void {
    if (this.away) {
      client.resetAndDestroy()
      return
    }
    const server = connect(this.target, '127.0.0.1')
    server.once('connect', () => {
      const port = server.localPort ?? 0
      this.pairs.set(port, [client, server])
      client.once('close', () => this.pairs.delete(port))
    })
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  }
}

function reset(socket: Socket): void {
  // Node.js does not reset one that is being shut down, and never ends behind the attempt.
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
