/** What a `millrace-ros2-serve` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { longType } from './fields'
import type { Context, RequestInfo, ServiceServer } from './lib'
import { Member, type MemberRole } from './member'
import { closeRequest, openRequest } from './requests'
import type { serveConfig } from './serve.config'

type ServeHost = Host<(typeof serveConfig)['fields']>

export class Desk implements MemberRole<ServiceServer> {
  private readonly member: Member<ServiceServer>
  /** Absolute. */
  private readonly service: string
  private readonly type: string
  /** Lets all open requests go. */
  private readonly waiting = new Set<() => void>()
  private server: ServiceServer | undefined
  private warned = false

  constructor(private readonly host: ServeHost) {
    this.member = new Member(host, host.config.context, this)
    this.service = this.member.nameOf(host.config.service)
    this.type = longType(host.config.serviceType, 'srv')
    this.member.join()
  }

  async close(): Promise<void> {
    const closing = this.member.close()
    for (const letGo of [...this.waiting]) letGo()
    await closing
  }

  open(context: Context): ServiceServer {
    const { int64 } = this.host.config
    const onError = (error: Error) => this.host.node.error(error)
    const handler = (request: object, info: RequestInfo) => this.ask(request, info)
    this.server = context.serve(this.service, this.type, handler, { int64, onError })
    return this.server
  }

  changed(): void {
    const deaf = this.server?.deaf() ?? 0
    if (deaf > 0 && !this.warned) this.host.node.warn(this.host.text('failure.deaf', { service: this.service }))
    this.warned = deaf > 0
  }

  live(server: ServiceServer): NodeStatus {
    const { received, dropped } = server.counts()
    const params = { received: short(received), dropped: short(dropped), open: short(this.waiting.size) }
    const text = this.host.text(dropped > 0 ? 'status.dropping' : 'status.asked', params)
    return { fill: dropped > 0 ? 'yellow' : 'green', shape: this.waiting.size > 0 ? 'ring' : 'dot', text }
  }

  /** Resolves to the response that a reply node brings, or to none at the end of its time. */
  private ask(request: object, { receivedNs }: RequestInfo): Promise<Buffer | undefined> {
    const server = this.server
    return new Promise((resolve) => {
      const end = (response?: Buffer) => {
        clearTimeout(timer)
        closeRequest(id)
        this.waiting.delete(letGo)
        resolve(response)
        this.member.show()
      }
      const letGo = () => end()
      const timer = setTimeout(letGo, this.host.config.timeoutMs)
      const id = openRequest({ answer: (payload) => end(server?.encode(payload)) })
      this.waiting.add(letGo)
      this.host.node.send({
        topic: this.service,
        payload: request,
        ros2: { request: id, type: this.type, receivedNs: String(receivedNs) },
      } as never)
    })
  }
}
