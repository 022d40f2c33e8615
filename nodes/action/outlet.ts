/** What every node that acts does: takes messages, has a driver bring them to the other side, says what became of it. */
import { join } from 'node:path'
import type { NodeAPI, NodeStatus } from 'node-red'
import { action, lookup } from '../shared/admin'
import type { ConfigSpec, Fields, Values } from '../shared/config'
import { EngineError, quote, toEngineError } from '../shared/errors'
import { defineNode, type Host, type Message, type Reply, stateOf } from '../shared/node'
import type { Backlog, Link } from '../shared/running'
import { age, short } from '../shared/status'
import type { deliveryFields } from './delivery.config'
import type {
  ActionDriver,
  Alert,
  Clear,
  Delivery,
  DriverError,
  Measurement,
  OutboxOptions,
  PythonProblem,
  Receipt,
  Seams,
} from './lib'
import { limitOf } from './limit'

/** What the button in the dialog tells. */
export type Tested = { ok: true; found: string; ms: number } | { ok: false; fault: string; message: string }

type Accepts = Fields &
  Pick<typeof deliveryFields, 'accept' | 'queue' | 'durable' | 'outboxFolder' | 'outboxMb' | 'outboxWhenFull'>

/** What a driver is made of: the settings, and where its outbox is, if it has one. */
export type DriverHost<F extends Fields> = Omit<Host<F>, 'config'> & { config: Values<F> & { outbox?: OutboxOptions } }

const FAILURES = 1
const MB = 1 << 20

export class Outlet {
  private closed = false

  constructor(
    private readonly host: Pick<Host<Fields>, 'node' | 'text' | 'status' | 'wired'>,
    private readonly accept: 'action' | 'any',
    readonly driver: ActionDriver,
  ) {
    this.show()
    driver.initialize().catch((error) => {
      if (!this.closed) host.node.error(toEngineError(error))
    })
  }

  async input(message: Message, reply: Reply): Promise<void> {
    if (message.action === 'status') return this.answer(message, reply, await this.driver.status())
    if (message.action === 'history') {
      const answer = { entries: this.driver.history(limitOf(message.payload)), stats: this.driver.historyStats() }
      return this.answer(message, reply, answer)
    }
    try {
      const { attempts, latencyMs, result, stored } = await this.deliver(message)
      message.result = result
      message.delivery = { attempts, latencyMs, ...(stored !== undefined && { stored }) }
      reply.send([message, null])
      reply.done()
    } catch (cause) {
      const error = toEngineError(cause)
      if (!this.host.wired(FAILURES)) return reply.done(error)
      const { attempts = 0 } = error as DriverError
      message.delivery = failureOf(error, attempts)
      reply.send([null, message])
      reply.done()
    }
  }

  /** What was stored, and cannot be delivered: its message has had its answer, so that this is a new one. */
  undelivered({ kind, data, source }: Delivery, error: EngineError, attempts: number): void {
    const { node } = this.host
    const message = {
      ...(kind !== 'message' && { action: kind }),
      ...(source !== undefined && { topic: source }),
      payload: data,
      delivery: failureOf(error, attempts),
    }
    if (this.host.wired(FAILURES)) node.send([null, message])
    else node.error(error, message)
  }

  test(): Promise<Tested> {
    return tested(() => this.driver.test())
  }

  get link(): Link {
    const { state, circuit, lastError, recovered } = this.driver.state
    if (lastError && (!recovered || circuit !== 'closed')) return { state: 'failed', error: lastError }
    return { state: state === 'opening' ? 'opening' : 'open' }
  }

  get backlog(): Backlog | undefined {
    const { outbox, dropped } = this.driver.state
    return outbox && { records: outbox.records, bytes: outbox.bytes, oldestMs: outbox.oldestMs, dropped }
  }

  show(): void {
    if (!this.closed) this.host.status(() => this.status())
  }

  close(): Promise<void> {
    this.closed = true
    return this.driver.shutdown()
  }

  private answer(message: Message, reply: Reply, payload: unknown): void {
    message.payload = payload
    reply.send([message, null])
    reply.done()
  }

  private deliver(message: Message): Promise<Receipt> {
    const { action, payload, topic } = message
    switch (action) {
      case 'measurement':
        return this.driver.onMeasurement(sourced<Measurement>(action, payload))
      case 'alert':
        return this.driver.onAlert(sourced<Alert>(action, payload))
      case 'clear':
        return this.driver.clear(sourced<Clear>(action, payload))
      default:
        if (this.accept === 'any') return this.driver.onMessage(payload, typeof topic === 'string' ? topic : undefined)
        throw new EngineError(
          'INVALID_INPUT',
          `msg.action is ${quote(action)}; it must be measurement, alert or clear, or let the node take any message`,
        )
    }
  }

  private status(): NodeStatus {
    const { state, circuit, sent, failed, waiting, inFlight, lastError, recovered, outbox } = this.driver.state
    const stored = outbox?.oldestMs ? this.stored(outbox.records, outbox.oldestMs) : null
    const isHeld = lastError !== null && !recovered && new EngineError(lastError.code, '').retryable
    // What is on the disk waits in safety: how much, and since when, says more than why.
    if (stored && (circuit !== 'closed' || isHeld)) return { fill: 'yellow', shape: 'dot', text: stored }
    if (circuit !== 'closed') return { fill: 'yellow', shape: 'ring', text: this.host.text('error.CIRCUIT_OPEN') }
    if (lastError && !recovered) {
      const { retryable } = new EngineError(lastError.code, '')
      return { fill: retryable ? 'yellow' : 'red', shape: 'ring', text: this.host.text(`error.${lastError.code}`) }
    }
    if (state === 'opening') return { fill: 'grey', shape: 'ring', text: this.host.text('status.opening') }
    const counts = { sent: short(sent), failed: short(failed), waiting: short(waiting + inFlight) }
    if (stored) return { fill: 'blue', shape: 'dot', text: stored }
    if (waiting > 0) return { fill: 'blue', shape: 'dot', text: this.host.text('status.queued', counts) }
    return { fill: 'green', shape: 'dot', text: this.host.text('status.sent', counts) }
  }

  private stored(records: number, oldestMs: number): string {
    return this.host.text('status.stored', { records: short(records), age: age(Date.now() - oldestMs) })
  }
}

function failureOf({ code, message, retryable, cause }: EngineError, attempts: number) {
  // What a script raised says more than the error.
  return { attempts, error: { code, message, retryable, ...(isProblem(cause) && { cause }) } }
}

async function tested(test: () => Promise<string>): Promise<Tested> {
  const start = performance.now()
  try {
    const found = await test()
    return { ok: true, found, ms: Math.round(performance.now() - start) }
  } catch (error) {
    const { fault = 'other', message } = error as DriverError
    return { ok: false, fault, message }
  }
}

/**
 * A node that acts through the driver that `open` makes of its settings. Its test is that of the running driver, or
 * `tryOut` with what the dialog gives.
 */
export function defineOutlet<F extends Accepts>(
  RED: NodeAPI,
  config: ConfigSpec<F>,
  open: (host: DriverHost<F>, seams: Seams & Required<Pick<Seams, 'changed'>>) => ActionDriver,
  tryOut?: (id: string, given: object) => Promise<string>,
): void {
  defineNode<F, Outlet>(RED, {
    config,
    open(host) {
      let outlet: Outlet | undefined
      const { accept, queue } = host.config as Values<Accepts>
      const limit = Number(RED.settings.nodeMessageBufferMaxLength) || queue
      const outbox = outboxOf(host as unknown as Host<Accepts>)
      const config = { ...host.config, queue: Math.min(queue, limit), ...(outbox && { outbox }) }
      const seams: Seams & Required<Pick<Seams, 'changed'>> = {
        changed: () => outlet?.show(),
        undelivered: (...given) => host.guard(() => outlet?.undelivered(...given))(),
      }
      const driver = open({ ...host, config }, seams)
      outlet = new Outlet(host, accept, driver)
      return outlet
    },
    input: (outlet, message, reply) => outlet.input(message, reply),
    close: (outlet) => outlet.close(),
    link: (outlet) => outlet.link,
    backlog: (outlet) => outlet.backlog,
  })
  lookup(RED, config.type, 'status', (id) => stateOf<Outlet>(RED, id)?.driver.status())
  lookup(RED, config.type, 'history', (id, { limit }) => {
    const driver = stateOf<Outlet>(RED, id)?.driver
    return driver && { entries: driver.history(limitOf({ limit })), stats: driver.historyStats() }
  })
  action(RED, config.type, 'test', (id, _query, given) => {
    if (tryOut) return tested(() => tryOut(id, (given ?? {}) as object))
    return stateOf<Outlet>(RED, id)?.test()
  })
}

/** Where deliveries are stored; undefined where they are not. */
function outboxOf({ RED, node, config }: Host<Accepts>): OutboxOptions | undefined {
  const { durable, outboxFolder, outboxMb, outboxWhenFull } = config
  if (!durable) return undefined
  const { userDir = process.cwd() } = RED.settings as { userDir?: string }
  const own = join('millrace', 'action', 'outbox', encodeURIComponent(node.id))
  return { folder: join(userDir, outboxFolder || own), maxBytes: outboxMb * MB, whenFull: outboxWhenFull }
}

function isProblem(cause: unknown): cause is PythonProblem {
  return typeof cause === 'object' && cause !== null && 'traceback' in cause
}

function sourced<T extends { sourceNodeId: string }>(action: string, payload: unknown): T {
  const { sourceNodeId } = (payload ?? {}) as { sourceNodeId?: unknown }
  if (typeof sourceNodeId === 'string') return payload as T
  const text = `msg.payload is ${quote(payload)}; of msg.action '${action}' it must be an object with a sourceNodeId`
  throw new EngineError('INVALID_INPUT', text)
}
