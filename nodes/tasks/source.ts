/** What a `millrace-tasks-worker` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { handOut } from './desk'
import { brokerOf, DRAIN_MS } from './host'
import type { App, Running, Worker } from './lib'
import { Opener } from './opener'
import type { workerConfig } from './worker.config'

type WorkerHost = Host<(typeof workerConfig)['fields']>

const STATUS_MS = 1000

export class Source {
  private readonly opener: Opener
  private worker: Worker | undefined
  private taken = 0
  private readonly timer: NodeJS.Timeout

  constructor(private readonly host: WorkerHost) {
    const broker = brokerOf(host, host.config.broker)
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.opener = new Opener(
      host,
      broker,
      (app) => this.start(app),
      () => this.show(),
    )
    this.show()
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    try {
      await this.opener.end()
      await this.worker?.stop({ drainMs: DRAIN_MS })
    } finally {
      this.opener.leave()
    }
  }

  private async start(app: App): Promise<void> {
    const { tasks, queues, concurrency, prefetch, lease, rate } = this.host.config
    const options = {
      name: this.host.node.name || this.host.node.id,
      tasks,
      queues,
      concurrency,
      ...(prefetch !== null && { prefetch }),
      leaseMs: lease * 1000,
      // It is the flow that has to show that it is alive.
      heartbeat: false,
      ...(rate !== null && { rate: { perSecond: rate, burst: Math.max(1, Math.ceil(rate)) } }),
      onError: (error: unknown) => this.host.node.warn(toEngineError(error).message),
    }
    this.worker = app.taker(options, (running) => this.emit(running))
    await this.worker.start()
  }

  private emit(running: Running): void {
    const { id, delivery } = handOut(running)
    const { name, queue, args, kwargs, headers, retries, deliveries } = running
    const tasks = { id, delivery, name, queue, args, kwargs, headers, retries, deliveries }
    this.taken += 1
    running.onStop = ({ code }) => {
      if (!this.opener.closed) this.host.node.send([null, { topic: name, payload: code, tasks: { ...tasks } }])
    }
    running.begin()
    const payload = args.length === 1 ? args[0] : args
    this.host.node.send([{ topic: name, payload, tasks }, null])
    this.show()
  }

  private show(): void {
    this.host.status(this.status)
  }

  private readonly status = (): NodeStatus => {
    const { worker, host } = this
    const { failure } = this.opener
    if (failure) {
      return { fill: failure.retryable ? 'yellow' : 'red', shape: 'ring', text: host.text(`error.${failure.code}`) }
    }
    if (!worker) return { fill: 'grey', shape: 'ring', text: host.text('status.opening') }
    const text = host.text('status.working', { running: short(worker.running), taken: short(this.taken) })
    return { fill: 'green', shape: 'dot', text }
  }
}
