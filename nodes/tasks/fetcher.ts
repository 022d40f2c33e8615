/** What a `millrace-tasks-result` node does between its opening and its close. */
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { type BrokerHost, brokerOf } from './host'
import { type AsyncResult, isFinal, TaskFailed, type TaskInfo } from './lib'
import { mostWaiting } from './limits'
import type { resultConfig } from './result.config'

type ResultHost = Host<(typeof resultConfig)['fields']>

/** What is none would be waited for without end. */
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

export class Fetcher {
  private readonly broker: BrokerHost
  private readonly most: number
  private waiting = 0
  private fetched = 0
  private closed = false

  constructor(private readonly host: ResultHost) {
    this.broker = brokerOf(host, host.config.broker)
    this.broker.join()
    this.most = mostWaiting(host.RED)
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const id = this.idOf(message)
    if (this.waiting >= this.most) throw new EngineError('BUFFER_FULL', this.host.text('failure.waiting'))
    this.waiting += 1
    this.show()
    try {
      const app = await this.broker.app()
      const info = await this.infoOf(app.result(id))
      message.task = info
      if (info.state !== 'success') throw isFinal(info.state) ? new TaskFailed(info) : this.absent(info)
      message.payload = info.result
      this.fetched += 1
      reply.send([message, null])
      reply.done()
    } catch (error) {
      this.refuse(toEngineError(error), message, reply)
    } finally {
      this.waiting -= 1
      this.show()
    }
  }

  close(): void {
    this.closed = true
    this.broker.leave()
  }

  private idOf(message: Message): string {
    const { from } = this.host.config
    const id = this.read(message, from)
    if (typeof id === 'string' && UUID.test(id)) return id
    throw new EngineError('INVALID_INPUT', this.host.text('failure.id', { property: from, given: quote(id) }))
  }

  private read(message: Message, property: string): unknown {
    try {
      return this.host.RED.util.getMessageProperty(message, property)
    } catch {
      // The message has no such path.
      return undefined
    }
  }

  private infoOf(result: AsyncResult): Promise<TaskInfo> {
    const { mode, timeout } = this.host.config
    if (mode === 'now') return result.info()
    return result.wait(timeout === null ? {} : { timeoutMs: timeout * 1000 })
  }

  /** Why there is no result yet. */
  private absent({ id, state, error }: TaskInfo): EngineError {
    if (state === null) return new EngineError('NOT_FOUND', error?.message ?? this.host.text('failure.unknown', { id }))
    return new EngineError('TIMEOUT', this.host.text('failure.running', { id, state }))
  }

  /** To the second output where something is wired to it, and to Catch nodes otherwise. */
  private refuse(error: EngineError, message: Message, reply: Reply): void {
    // Nobody is there any more who could be told.
    if (this.closed && error.code === 'CLOSED') return reply.done()
    if (!this.host.wired(1)) return reply.done(error)
    const { name, code, message: text } = error
    message.error = { name, code, message: text }
    reply.send([null, message])
    reply.done()
  }

  private show(): void {
    this.host.status(() => {
      const params = { fetched: short(this.fetched), waiting: short(this.waiting) }
      const text =
        this.waiting > 0 ? this.host.text('status.waiting', params) : this.host.text('status.fetched', params)
      return counted(this.fetched, text)
    })
  }
}
