/** Nodes in a running flow, with everything that they say written down. */
import { EventEmitter, once } from 'node:events'
import { inspect } from 'node:util'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'

export type Json = Record<string, unknown>
// biome-ignore lint/suspicious/noExplicitAny: messages have any form
export type Seen = any
const SAID = ['status', 'log', 'warn', 'error'] as const
type Said = (typeof SAID)[number]

const GIVE_UP_MS = 45_000

export abstract class Log<Event extends string> {
  readonly seen: Record<Event | Said, Seen[]>
  private readonly events = new EventEmitter()

  /** `heard`: which helper nodes are listened to, and what their messages count as. */
  protected constructor(private readonly heard: Record<string, Event>) {
    const all = [...Object.values(heard), ...SAID]
    this.seen = Object.fromEntries(all.map((event) => [event, []])) as unknown as typeof this.seen
  }

  static async stop(): Promise<void> {
    await helper.unload()
    helper.settings({})
  }

  /** Waits until there are so many of them; returns all. Tells what came instead when they do not come. */
  async until(event: Event | Said, count = 1): Promise<Seen[]> {
    const giveUp = AbortSignal.timeout(GIVE_UP_MS)
    while (this.seen[event].length < count) {
      // A plain `error` would be thrown where nobody listens.
      await once(this.events, `seen ${event}`, { signal: giveUp }).catch(() => {
        throw new Error(`waited for ${count} × ${event}, but saw ${inspect(this.seen, { depth: 4 })}`)
      })
    }
    return this.seen[event]
  }

  /** Waits for something that `fits`. */
  async find(event: Event | Said, fits: (seen: Seen) => boolean): Promise<Seen> {
    for (let next = 0; ; next += 1) {
      const one = (await this.until(event, next + 1))[next]
      if (fits(one)) return one
    }
  }

  /** What the admin API answers. */
  get(path: string): Promise<Answer> {
    return answerOf(helper.request().get(path))
  }

  post(path: string, body: Json): Promise<Answer> {
    return answerOf(helper.request().post(path).send(body))
  }

  /** The nodes speak while they are being made, so their log is heard from the start. */
  protected listenTo(RED: NodeAPI): NodeAPI {
    const nodes = Object.create(RED.nodes)
    nodes.createNode = (node: Seen, config: Json) => {
      RED.nodes.createNode(node, config as never)
      for (const event of SAID) {
        const original = node[event].bind(node)
        node[event] = (...args: unknown[]) => {
          // Whose status it is can be asked, but is no part of it.
          const said =
            event === 'status' ? Object.defineProperty({ ...(args[0] as Json) }, 'id', { value: node.id }) : args[0]
          // An error with a message goes to Catch nodes and is heard there.
          if (event !== 'error' || args.length === 1) this.note(event, said)
          return original(...args)
        }
      }
    }
    return Object.assign(Object.create(RED), { nodes })
  }

  /** After every deploy: helper nodes are new. */
  protected attach(): void {
    for (const [id, event] of Object.entries(this.heard)) {
      const node = helper.getNode(id) as Seen
      if (!node || node.noted) continue
      node.noted = true
      node.on('input', (message: Seen) => this.note(event as Event, message))
    }
  }

  private note(event: Event | Said, value: Seen): void {
    this.seen[event].push(value)
    this.events.emit(`seen ${event}`)
  }
}

interface Answer {
  status: number
  body: Seen
}

function answerOf(request: Seen): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.end((error: Error | null, answer: Answer) => (error ? reject(error) : resolve(answer)))
  })
}
