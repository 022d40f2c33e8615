/** The frame of every node: what must be right in each of them is written here, once. */
import type { Node, NodeAPI, NodeDef, NodeMessageInFlow, NodeStatus } from 'node-red'
import type { ConfigSpec, Fields, Values } from './config'
import { type EngineError, toEngineError } from './errors'
import { type Backlog, type Link, listen, type Runner, running } from './running'
import { readConfig } from './settings'
import { StatusLine } from './status'

/** Below the 10 s after which some device agents kill Node-RED. */
const CLOSE_LIMIT_MS = 8000

/** A message as it comes: anything may be missing, and anything may be there. */
export type Message = NodeMessageInFlow & Record<string, unknown>

/** What a node's own code gets to work with. */
export interface Host<F extends Fields> {
  readonly RED: NodeAPI
  readonly node: Node
  readonly config: Values<F>
  /** A text of the node's catalogue. */
  text(key: string, params?: Record<string, string | number>): string
  status(make: () => NodeStatus): void
  /** Whether something is wired to an output. */
  wired(output: number): boolean
  /** For timers: what `call` throws shows at the node, and does not end Node-RED. */
  guard(call: () => void): () => void
}

/** How a message is answered. */
export interface Reply {
  /** To the outputs: a message, or one entry an output. */
  send(messages: unknown): void
  /** The message is dealt with, or failed. Only the first call counts. */
  done(error?: unknown): void
}

export interface NodeSpec<F extends Fields, State> {
  config: ConfigSpec<F>
  /** Opens what the node needs. A failure shows at the node, and every message then fails with it. */
  open(host: Host<F>): State
  /** Deals with one message. What it throws goes to `done`. */
  input?(state: State, message: Message, reply: Reply): void | Promise<void>
  /** Frees everything; `removed` when the node is gone for good. */
  close?(state: State, removed: boolean): void | Promise<void>
  /** For the sidebar: how it stands with what the node is connected to. */
  link?(state: State): Link
  /** For the sidebar: what the node keeps on the disk; undefined where it keeps nothing there. */
  backlog?(state: State): Backlog | undefined
}

const STATE = Symbol('state')
const FAILURE = Symbol('failure')

/** What the running node with this id opened; undefined for a node that is not there, or could not. */
export function stateOf<State>(RED: NodeAPI, id: string): State | undefined {
  return (RED.nodes.getNode(id) as { [STATE]?: State } | null)?.[STATE]
}

/** The same, for who wants to know why a node could not: fails as it did. */
export function openedBy<State>(RED: NodeAPI, id: string): State | undefined {
  const failure = (RED.nodes.getNode(id) as { [FAILURE]?: EngineError } | null)?.[FAILURE]
  if (failure) throw failure
  return stateOf(RED, id)
}

export function defineNode<F extends Fields, State>(RED: NodeAPI, spec: NodeSpec<F, State>): void {
  function construct(this: Node, saved: NodeDef): void {
    RED.nodes.createNode(this, saved)
    listen(this)
    const line = new StatusLine(this)
    const host = (config: Values<F>): Host<F> => ({
      RED,
      node: this,
      config,
      text: (key, params) => RED._(key, params),
      status: (make) => line.show(make),
      wired: (output) => ((this as unknown as { wires: string[][] }).wires[output]?.length ?? 0) > 0,
      guard: (call) => () => {
        const result = attempt(call)
        if (!('error' in result)) return
        fail(result.error)
        report(this, result.error)
      },
    })

    const fail = (error: EngineError) => {
      const text = RED._(`error.${error.code}`)
      line.show(() => ({ fill: error.retryable ? 'yellow' : 'red', shape: 'ring', text }))
    }

    const opened = attempt(() => spec.open(host(readConfig(RED, this, spec.config, saved))))
    running.set(this.id, runnerOf(this, spec, opened))
    if ('error' in opened) {
      fail(opened.error)
      report(this, opened.error)
      Object.defineProperty(this, FAILURE, { value: opened.error })
    } else {
      Object.defineProperty(this, STATE, { value: opened.value })
    }

    this.on('input', (message, send, done) => {
      let answered = false
      // Node-RED reads some properties of messages itself and trips over odd ones, where nobody would catch it.
      const answer = (failure?: EngineError) => {
        try {
          done(failure)
        } catch (trip) {
          this.error((failure ?? toEngineError(trip)).message)
        }
      }
      const reply: Reply = {
        send: (messages) => send(messages as NodeMessageInFlow),
        done: (error) => {
          if (answered) return
          answered = true
          if (error === undefined) return answer()
          const failure = toEngineError(error)
          if (failure.code === 'INTERNAL') fail(failure)
          answer(failure)
        },
      }
      if ('error' in opened) return reply.done(opened.error)
      const failed = (error: unknown) => reply.done(error ?? 'failed without a reason')
      try {
        // A rejected promise that nobody owns would end Node-RED.
        spec.input?.(opened.value, message as Message, reply)?.catch(failed)
      } catch (error) {
        failed(error)
      }
    })

    // Node-RED waits for `done` only where the handler names it.
    this.on('close', (removed: boolean, done: () => void) => {
      line.close()
      running.delete(this.id)
      const limit = setTimeout(done, CLOSE_LIMIT_MS)
      const closing = 'error' in opened ? undefined : attempt(() => spec.close?.(opened.value, removed))
      const problem = closing && 'error' in closing ? Promise.reject(closing.error) : closing?.value
      Promise.resolve(problem)
        .catch((error) => this.warn(toEngineError(error).message))
        .finally(() => {
          clearTimeout(limit)
          done()
        })
    })
  }

  const { credentials } = spec.config
  RED.nodes.registerType(spec.config.type, construct, credentials ? { credentials } : {})
}

/** One line is enough where every node of the collection fails for the same reason. */
let missingReported = false

function report(node: Node, error: EngineError): void {
  if (error.code === 'NATIVE_MISSING') {
    if (missingReported) return
    missingReported = true
  }
  node.error(error)
}

function runnerOf<F extends Fields, State>(node: Node, spec: NodeSpec<F, State>, opened: Attempt<State>): Runner {
  const { link, backlog } = spec
  if ('error' in opened) return { node, ...(link && { link: () => ({ state: 'failed', error: opened.error }) }) }
  const { value } = opened
  return { node, ...(link && { link: () => link(value) }), ...(backlog && { backlog: () => backlog(value) }) }
}

type Attempt<T> = { value: T } | { error: EngineError }

function attempt<T>(call: () => T): Attempt<T> {
  try {
    return { value: call() }
  } catch (error) {
    return { error: toEngineError(error) }
  }
}
