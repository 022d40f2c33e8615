/** What every node that acts does: takes messages, has a driver bring them to the other side, says what became of it. */
import type { NodeAPI, NodeStatus } from 'node-red'
import { action, lookup } from '../shared/admin'
import type { ConfigSpec, Fields, Values } from '../shared/config'
import { EngineError, quote, toEngineError } from '../shared/errors'
import { defineNode, type Host, type Message, type Reply, stateOf } from '../shared/node'
import { short } from '../shared/status'
import type { deliveryFields } from './delivery.config'
import type { ActionDriver, Alert, Clear, DriverError, Measurement, PythonProblem, Receipt, TlsOptions } from './lib'
import { limitOf } from './limit'

/** What the button in the dialog tells. */
export type Tested = { ok: true; found: string; ms: number } | { ok: false; fault: string; message: string }

type Accepts = Fields & Pick<typeof deliveryFields, 'accept' | 'queue'>

const FAILURES = 1

export class Outlet {
  private closed = false

  constructor(
    private readonly host: Pick<Host<Fields>, 'node' | 'text' | 'status' | 'wired'>,
    private readonly accept: 'action' | 'any',
    readonly driver: ActionDriver,
  ) {
    this.show()
    driver.initialize().catch((error) => {
      if (!this.closed) host.node.error(toEngineError(error).message)
    })
  }

  async input(message: Message, reply: Reply): Promise<void> {
    if (message.action === 'status') return this.answer(message, reply, await this.driver.status())
    if (message.action === 'history') {
      const answer = { entries: this.driver.history(limitOf(message.payload)), stats: this.driver.historyStats() }
      return this.answer(message, reply, answer)
    }
    try {
      const { attempts, latencyMs, result } = await this.deliver(message)
      message.result = result
      message.delivery = { attempts, latencyMs }
      reply.send([message, null])
      reply.done()
    } catch (cause) {
      const error = toEngineError(cause)
      if (!this.host.wired(FAILURES)) return reply.done(error)
      const { code, message: text, retryable } = error
      // What a script raised says more than the error.
      const raised = isProblem(error.cause) && { cause: error.cause }
      const { attempts = 0 } = error as DriverError
      message.delivery = { attempts, error: { code, message: text, retryable, ...raised } }
      reply.send([null, message])
      reply.done()
    }
  }

  test(): Promise<Tested> {
    return tested(() => this.driver.test())
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
    const { state, circuit, sent, failed, waiting, inFlight, lastError, recovered } = this.driver.state
    if (circuit !== 'closed') return { fill: 'yellow', shape: 'ring', text: this.host.text('error.CIRCUIT_OPEN') }
    if (lastError && !recovered) {
      const { retryable } = new EngineError(lastError.code, '')
      return { fill: retryable ? 'yellow' : 'red', shape: 'ring', text: this.host.text(`error.${lastError.code}`) }
    }
    if (state === 'opening') return { fill: 'grey', shape: 'ring', text: this.host.text('status.opening') }
    const counts = { sent: short(sent), failed: short(failed), waiting: short(waiting + inFlight) }
    if (waiting > 0) return { fill: 'blue', shape: 'dot', text: this.host.text('status.queued', counts) }
    return { fill: 'green', shape: 'dot', text: this.host.text('status.sent', counts) }
  }
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
 * A node that acts through the driver that `open` makes of its settings; `changed` is called when its state did. Its
 * test is that of the running driver, or `tryOut` with what the dialog gives.
 */
export function defineOutlet<F extends Accepts>(
  RED: NodeAPI,
  config: ConfigSpec<F>,
  open: (host: Host<F>, changed: () => void) => ActionDriver,
  tryOut?: (id: string, given: object) => Promise<string>,
): void {
  defineNode<F, Outlet>(RED, {
    config,
    open(host) {
      let outlet: Outlet | undefined
      const { accept, queue } = host.config as Values<Accepts>
      const limit = Number(RED.settings.nodeMessageBufferMaxLength) || queue
      const config = { ...host.config, queue: Math.min(queue, limit) }
      const driver = open({ ...host, config }, () => outlet?.show())
      outlet = new Outlet(host, accept, driver)
      return outlet
    },
    input: (outlet, message, reply) => outlet.input(message, reply),
    close: (outlet) => outlet.close(),
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

/** What Node-RED's own node for TLS settings has; nothing where none is chosen. */
export function tlsOf(RED: NodeAPI, id: string): TlsOptions | undefined {
  if (id === '') return undefined
  const node = RED.nodes.getNode(id) as { valid?: boolean; addTLSOptions?(options: TlsOptions): TlsOptions } | null
  if (node?.addTLSOptions && node.valid !== false) return node.addTLSOptions({})
  throw new EngineError('INVALID_OPTION', 'the TLS settings are not there, or have wrong files; choose them anew')
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
