/** What a `millrace-tasks-send` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { type BrokerHost, brokerOf } from './host'
import type { App, SendOptions, Task } from './lib'
import { mostWaiting } from './limits'
import type { SendConfig, sendConfig } from './send.config'

type SendHost = Host<(typeof sendConfig)['fields']>

export class Sender {
  private readonly broker: BrokerHost
  private readonly options: SendOptions
  private readonly waitingMax: number
  private waiting = 0
  private sent = 0
  private results = 0
  private closed = false
  /** Of the message before: it has its options as text. */
  private last: { app: App; task: Task } | undefined

  constructor(private readonly host: SendHost) {
    this.broker = brokerOf(host, host.config.broker)
    this.broker.join()
    this.options = optionsOf(host.config)
    this.waitingMax = mostWaiting(host.RED)
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const { config, text } = this.host
    const name = config.task || message.topic
    if (typeof name !== 'string' || name === '') {
      throw new EngineError('INVALID_INPUT', text('failure.task', { given: quote(name) }))
    }
    if (this.waiting >= this.waitingMax) throw new EngineError('BUFFER_FULL', text('failure.waiting'))
    if (config.output === 'result' && this.waiting + this.results >= this.waitingMax) {
      throw new EngineError('BUFFER_FULL', text('failure.results', { max: this.waitingMax }))
    }
    this.waiting += 1
    const result = await this.send(name, message).finally(() => {
      this.waiting -= 1
    })
    this.sent += 1
    message.taskId = result.id
    if (config.output === 'id') {
      this.show()
      reply.send(message)
      return reply.done()
    }
    this.results += 1
    this.show()
    try {
      message.payload = await result.get()
      reply.send(message)
      reply.done()
    } catch (error) {
      // The queue has the task; only who waits for its result goes.
      if (!this.closed || toEngineError(error).code !== 'CLOSED') throw error
      reply.done()
    } finally {
      this.results -= 1
      this.show()
    }
  }

  close(): void {
    this.closed = true
    this.broker.leave()
  }

  private async send(name: string, { payload, kwargs, options }: Message) {
    const args = Array.isArray(payload) ? payload : payload === undefined ? [] : [payload]
    const app = await this.broker.app()
    if (kwargs !== undefined || options !== undefined || this.options.countdown !== undefined) {
      const more: SendOptions = { ...plainOf(kwargs, 'kwargs'), ...optionsFrom(options) }
      const { countdown, ...own } = this.options
      // Both say when, and the message's goes first.
      const when = more.eta === undefined && countdown !== undefined ? { countdown } : {}
      return app.send(name, args, { ...own, ...when, ...more })
    }
    if (this.last?.app !== app || this.last.task.name !== name) {
      this.last = { app, task: app.task(name, null, this.options) }
    }
    return this.last.task.applyAsync(args)
  }

  private show(): void {
    this.host.status(this.status)
  }

  private readonly status = (): NodeStatus => {
    const params = { sent: short(this.sent), waiting: short(this.results) }
    const text = this.results > 0 ? this.host.text('status.awaiting', params) : this.host.text('status.sent', params)
    return counted(this.sent, text)
  }
}

function optionsOf({ queue, priority, countdown, maxRetries, retryDelay, timeout }: SendConfig): SendOptions {
  return {
    ...(queue && { queue }),
    ...(countdown > 0 && { countdown }),
    ...(timeout !== null && { timeoutMs: timeout * 1000 }),
    priority,
    maxRetries,
    retryDelay,
  }
}

function plainOf(value: unknown, name: string): Record<string, unknown> {
  return value === undefined ? {} : { [name]: objectOf(value, name) }
}

function optionsFrom(value: unknown): object {
  return value === undefined ? {} : objectOf(value, 'options')
}

function objectOf(value: unknown, name: string): object {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value
  throw new EngineError('INVALID_INPUT', `msg.${name} is ${quote(value)}; it must be an object`)
}
