/** The library's context behind a config node: opened for its first user, shared, and opened anew after a failure. */
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { type Host, stateOf } from '../shared/node'
import type { Link } from '../shared/running'
import type { ContextConfig } from './context.config'
import { absolute } from './fields'
import {
  Context,
  type ContextOptions,
  type DefinitionSources,
  type Graph,
  type GraphEndpoint,
  type TransportInUse,
} from './lib'
import { type Addresses, addresses, haveMoved, watchAddresses } from './network'

/** A node that has something open in a context. */
export interface User {
  /** The context is open, for the first time or again. What this throws brings it down. */
  opened(context: Context): void
  /** The context is not there; it comes back where the error is retryable. */
  failed(error: EngineError): void
  /** Something in the domain came, went or changed. */
  changed(graph: Graph): void
}

/** What a context discovers. */
export interface Seen {
  /** What carries the messages. */
  transport: TransportInUse
  nodes: string[]
  topics: { topic: string; types: string[] }[]
  services: { service: string; types: string[] }[]
  actions: { action: string; types: string[] }[]
}

/** The same with all that can be chosen, for the dialogs. */
export interface View extends Seen {
  /** All known types of messages. */
  types: string[]
  /** All known types of services. */
  serviceTypes: string[]
  /** All known types of actions. */
  actionTypes: string[]
}

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 30_000
const GRAPH_MS = 100
/**
 * What is under way to those who cannot be reached holds each publisher for a second, the context's own too, and the domain
 * with its old addresses as long.
 */
const MOVED_MS = 5000
/** A context without users stays so long: a deploy, or another look, may bring new ones. */
const LINGER_MS = 10_000
/** So long others need to show themselves. */
const DISCOVERY_MS = 1000

export class ContextHost {
  private readonly options: ContextOptions
  private readonly users = new Set<User>()
  private context: Context | undefined
  private openedAt = 0
  private error: EngineError | undefined
  /** The latest opening or closing; each waits for the one before. */
  private work: Promise<void> = Promise.resolve()
  private opening = false
  private closed = false
  private retryMs = RETRY_MIN_MS
  private retry: NodeJS.Timeout | undefined
  private linger: NodeJS.Timeout | undefined
  private graphDue: NodeJS.Timeout | undefined
  private unwatch: (() => void) | undefined
  /** What was seen, until something changes. */
  private known: Seen | undefined

  /** `report` is told once of each failure, `joined` of each opening. */
  constructor(
    private readonly config: ContextConfig,
    private readonly report: (error: EngineError) => void,
    private readonly joined: (transport: TransportInUse) => void = () => {},
  ) {
    this.options = optionsOf(config)
  }

  /** From now on `user` is told; it hears at once what is known already. */
  join(user: User): void {
    clearTimeout(this.linger)
    if (this.closed) return user.failed(closed())
    this.users.add(user)
    if (this.context) {
      this.greet(user, this.context)
      this.changed()
    } else if (this.error) {
      user.failed(this.error)
    } else {
      this.open()
    }
  }

  leave(user: User): void {
    if (!this.users.delete(user) || this.users.size > 0 || this.closed) return
    clearTimeout(this.linger)
    this.linger = setTimeout(() => this.drop(), LINGER_MS).unref()
  }

  /** Where definitions of types come from. */
  get sources(): DefinitionSources {
    return sourcesOf(this.config)
  }

  /** The absolute name of a topic. */
  nameOf(topic: string): string {
    return absolute(topic, this.config.namespace)
  }

  get link(): Link {
    if (this.context) return { state: 'open' }
    if (this.error) return { state: 'failed', error: this.error }
    return { state: this.opening ? 'opening' : 'idle' }
  }

  /** What is there, where the context is open. */
  seen(): Seen | undefined {
    this.known ??= this.context && seenBy(this.context)
    return this.known
  }

  /** What is there, for the dialogs. Opens the context where nobody else did. */
  async look(): Promise<View> {
    let user: User | undefined
    try {
      const context = await new Promise<Context>((opened, failed) => {
        user = { opened, failed, changed: () => {} }
        this.join(user)
      })
      const wait = this.openedAt + DISCOVERY_MS - performance.now()
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      return await viewOf(context)
    } finally {
      if (user) this.leave(user)
    }
  }

  /** Ends when everything is closed. */
  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.linger)
    this.drop()
    for (const user of this.users) user.failed(closed())
    this.users.clear()
    await this.work
  }

  private open(): void {
    if (this.opening || this.closed) return
    this.opening = true
    this.queue(async () => {
      try {
        const before = addresses()
        const context = await Context.open(this.options, () => this.changed())
        this.opening = false
        if (this.closed) return await context.close()
        this.context = context
        this.openedAt = performance.now()
        this.joined(context.transport)
        this.watch(before)
        for (const user of [...this.users]) this.greet(user, context)
        if (this.context !== context) return
        this.error = undefined
        this.retryMs = RETRY_MIN_MS
        if (this.users.size === 0) this.linger = setTimeout(() => this.drop(), LINGER_MS).unref()
        this.changed()
      } catch (error) {
        this.opening = false
        this.fail(toEngineError(error))
      }
    })
  }

  private greet(user: User, context: Context): void {
    // One that came before may have brought the context down.
    if (this.context !== context) return
    try {
      user.opened(context)
    } catch (error) {
      this.fail(toEngineError(error))
    }
  }

  private fail(error: EngineError): void {
    if (this.closed) return
    if (!this.error) this.report(error)
    this.drop()
    this.error = error
    for (const user of [...this.users]) user.failed(error)
    if (!error.retryable) return
    this.retry = setTimeout(() => this.open(), this.retryMs).unref()
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS)
  }

  /** Opens anew when the machine has another address. All contexts do at the same time, as they share a domain. */
  private watch(before: Addresses): void {
    if (isLocal(this.options)) return
    this.unwatch = watchAddresses((now) => {
      if (!haveMoved(before, now)) return
      this.retryMs = Math.max(this.retryMs, MOVED_MS)
      const [was, is] = [before, now].map((list) => [...list].join(', ') || 'none')
      this.fail(new EngineError('TRANSPORT', `the network addresses changed from ${was} to ${is}; opening again`))
    })
  }

  /** Closes the context; the next user opens it again. */
  private drop(): void {
    this.unwatch?.()
    this.unwatch = undefined
    clearTimeout(this.retry)
    clearTimeout(this.graphDue)
    this.graphDue = undefined
    const context = this.context
    this.context = undefined
    this.known = undefined
    this.error = undefined
    if (context) this.queue(() => context.close())
  }

  private queue(work: () => Promise<void>): void {
    this.work = this.work.then(work).catch((error) => this.report(toEngineError(error)))
  }

  /** Changes come in bursts: users look once. */
  private changed(): void {
    this.known = undefined
    if (!this.context || this.graphDue) return
    this.graphDue = setTimeout(() => {
      this.graphDue = undefined
      this.tellGraph()
    }, GRAPH_MS).unref()
  }

  private tellGraph(): void {
    if (!this.context) return
    try {
      const graph = this.context.graph()
      for (const user of [...this.users]) user.changed(graph)
    } catch (error) {
      this.fail(toEngineError(error))
    }
  }
}

/** Nobody else's network matters to it. */
function isLocal({ discovery, interface: chosen = '' }: ContextOptions): boolean {
  const range = discovery ?? process.env.ROS_AUTOMATIC_DISCOVERY_RANGE?.toLowerCase()
  return chosen === '' ? range === 'localhost' : chosen === 'lo' || chosen.startsWith('127.')
}

function closed(): EngineError {
  return new EngineError('CLOSED', 'the ROS 2 context is closed; deploy it again')
}

/** Behind the running context node with this id. */
export function contextHostOf({ RED, text }: Pick<Host<Fields>, 'RED' | 'text'>, id: string): ContextHost {
  const found = stateOf<unknown>(RED, id)
  if (found instanceof ContextHost) return found
  throw new EngineError('INVALID_OPTION', text('failure.context'))
}

function sourcesOf({ distribution, messages, folders }: ContextConfig): DefinitionSources {
  // Where no folder is given, those of a sourced ROS 2 are meant.
  return { distribution, messages, ...(folders.length > 0 && { folders }) }
}

function optionsOf(config: ContextConfig): ContextOptions {
  const { domain, discovery, peers, cycloneddsUri } = config
  return {
    ...sourcesOf(config),
    name: config.nodeName,
    namespace: config.namespace,
    transport: config.transport,
    // What is left out comes from ROS 2's environment variables.
    ...(domain !== null && { domain }),
    ...(discovery !== '' && { discovery }),
    ...(peers.length > 0 && { peers }),
    ...(config.interface !== '' && { interface: config.interface }),
    ...(cycloneddsUri !== '' && { cycloneddsUri }),
  }
}

/** How the type of a service's requests ends. */
const REQUEST = /_Request$/
/** What belongs to an action, and how the name and the type of its requests for goals end. */
const OF_ACTION = /\/_action\/\w+$/
const SEND_GOAL = /\/_action\/send_goal$/
const SEND_GOAL_TYPE = /_SendGoal_Request$/

async function viewOf(context: Context): Promise<View> {
  return { ...seenBy(context), ...(await context.definitions.offered()) }
}

function seenBy(context: Context): Seen {
  const graph = context.graph()
  const ends = [...graph.publishers, ...graph.subscriptions]
  const isAlone = ({ topic }: GraphEndpoint) => !OF_ACTION.test(topic)
  const topics = ends.filter(({ service }) => !service).filter(isAlone)
  // Who offers a service hears its requests.
  const requests = graph.subscriptions.filter(({ service, type }) => service && REQUEST.test(type))
  const servers = requests.filter(isAlone)
  const actors = requests.filter(({ topic, type }) => SEND_GOAL.test(topic) && SEND_GOAL_TYPE.test(type))
  return {
    transport: context.transport,
    nodes: graph.nodes.map(({ namespace, name }) => absolute(name, namespace)).sort(),
    topics: byName(topics).map(([topic, types]) => ({ topic, types })),
    services: byName(servers).map(([service, types]) => ({
      service,
      types: types.map((type) => type.replace(REQUEST, '')),
    })),
    actions: byName(actors).map(([name, types]) => ({
      action: name.replace(SEND_GOAL, ''),
      types: types.map((type) => type.replace(SEND_GOAL_TYPE, '')),
    })),
  }
}

function byName(ends: readonly GraphEndpoint[]): [name: string, types: string[]][] {
  const found = new Map<string, Set<string>>()
  for (const { topic, type } of ends) found.set(topic, (found.get(topic) ?? new Set()).add(type))
  return [...found]
    .map(([name, types]): [string, string[]] => [name, [...types].sort()])
    .sort(([one], [other]) => (one < other ? -1 : 1))
}
