/** What a `millrace-tasks-worker` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { type EngineError, toEngineError } from '../shared/errors'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { handOut } from './desk'
import { type BrokerHost, brokerOf, DRAIN_MS } from './host'
import type { Running, Worker } from './lib'
import type { workerConfig } from './worker.config'

type WorkerHost = Host<(typeof workerConfig)['fields']>

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 30_000
const STATUS_MS = 1000

export class Source {
  private readonly broker: BrokerHost
  private worker: Worker | undefined
  private starting: Promise<void>
  private failure: EngineError | undefined
  private closed = false
  private taken = 0
  private retryMs = RETRY_MIN_MS
  private retry: NodeJS.Timeout | undefined
  private readonly timer: NodeJS.Timeout

  constructor(private readonly host: WorkerHost) {
    this.broker = brokerOf(host, host.config.broker)
    this.broker.join()
    this.timer = setInterval(() => this.show(), STATUS_MS).unref()
    this.show()
    this.starting = this.start()
  }

  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.timer)
    clearTimeout(this.retry)
    try {
      await this.starting
      await this.worker?.stop({ drainMs: DRAIN_MS })
    } finally {
      this.broker.leave()
    }
  }

  /** Never fails: what goes wrong shows at the node. */
  private async start(): Promise<void> {
    const { tasks, queues, concurrency, lease, rate } = this.host.config
    try {
      const app = await this.broker.app()
      if (this.closed) return
      const options = {
        name: this.host.node.name || this.host.node.id,
        tasks,
        queues,
        concurrency,
        leaseMs: lease * 1000,
        // It is the flow that has to show that it is alive.
        heartbeat: false,
        ...(rate !== null && { rate: { perSecond: rate, burst: Math.max(1, Math.ceil(rate)) } }),
        onError: (error: unknown) => this.host.node.warn(toEngineError(error).message),
      }
      this.worker = app.taker(options, (running) => this.emit(running))
      await this.worker.start()
      this.failure = undefined
      this.retryMs = RETRY_MIN_MS
    } catch (error) {
      this.fail(toEngineError(error))
    }
    this.show()
  }

  private fail(error: EngineError): void {
    if (this.closed) return
    if (!this.failure) this.host.node.error(error.message)
    this.failure = error
    if (!error.retryable) return
    this.retry = setTimeout(() => {
      this.starting = this.start()
    }, this.retryMs).unref()
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS)
  }

  private emit(running: Running): void {
    const ticket = handOut(running)
    const { name, queue, args, kwargs, headers, retries, deliveries } = running
    const tasks = { ...ticket, name, queue, args, kwargs, headers, retries, deliveries }
    this.taken += 1
    running.onStop = ({ code }) => {
      if (!this.closed) this.host.node.send([null, { topic: name, payload: code, tasks: { ...tasks } }])
    }
    running.started().catch(() => {})
    const payload = args.length === 1 ? args[0] : args
    this.host.node.send([{ topic: name, payload, tasks }, null])
    this.show()
  }

  private show(): void {
    this.host.status(() => this.status())
  }

  private status(): NodeStatus {
    const { failure, worker, host } = this
    if (failure) {
      return { fill: failure.retryable ? 'yellow' : 'red', shape: 'ring', text: host.text(`error.${failure.code}`) }
    }
    if (!worker) return { fill: 'grey', shape: 'ring', text: host.text('status.opening') }
    const text = host.text('status.working', { running: short(worker.running), taken: short(this.taken) })
    return { fill: 'green', shape: 'dot', text }
  }
}
