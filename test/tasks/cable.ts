/** A way to a server that can be cut, or be slow. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export class Cable {
  private readonly sockets = new Set<Socket>()
  private open = true
  private delayMs = 0

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(port: number): Promise<Cable> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const cable = new Cable(server, (server.address() as { port: number }).port)
    server.on('connection', (client) => cable.pass(client, port))
    return cable
  }

  /** Breaks all connections, and lets no more through. */
  cut(): void {
    this.open = false
    for (const socket of this.sockets) socket.destroy()
  }

  /** From now on what goes through takes so long, each way. */
  slow(ms: number): void {
    this.delayMs = ms
  }

  mend(): void {
    this.open = true
  }

  async remove(): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }

  private pass(client: Socket, port: number): void {
    if (!this.open) return void client.destroy()
    const server = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        this.sockets.delete(one)
        other.destroy()
      })
      one.on('data', (data) => {
        if (this.delayMs === 0) other.write(data)
        else setTimeout(() => other.write(data), this.delayMs)
      })
    }
  }
}
