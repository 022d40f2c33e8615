/** Messages that come before the context is open wait for it. */
import type { NodeAPI } from 'node-red'
import { EngineError } from '../shared/errors'
import type { Reply } from '../shared/node'
import { messageLimit } from '../shared/settings'

const LIMIT = 1000

export class Waiting<End> {
  private readonly limit: number
  private waiting: { act: (end: End) => void; reply: Reply }[] = []
  /** None while the context opens for the first time. */
  private end: End | EngineError | undefined

  constructor(
    RED: NodeAPI,
    /** What is said where too many wait. */
    private readonly tooMany: () => string,
  ) {
    this.limit = Math.min(messageLimit(RED), LIMIT)
  }

  /** Acts now, or when the end is there. Fails with the reason for which it is not. */
  deal(reply: Reply, act: (end: End) => void): void {
    if (this.end) return answer(this.end, act, reply)
    if (this.waiting.length >= this.limit) throw new EngineError('BUFFER_FULL', this.tooMany())
    this.waiting.push({ act, reply })
  }

  ready(): Promise<End> {
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => error && reject(error)
      this.deal({ send() {}, done }, resolve)
    })
  }

  settle(end: End | EngineError): void {
    this.end = end
    for (const { act, reply } of this.waiting.splice(0)) answer(end, act, reply)
  }
}

function answer<End>(end: End | EngineError, act: (end: End) => void, reply: Reply): void {
  try {
    if (end instanceof EngineError) throw end
    act(end)
    reply.done()
  } catch (error) {
    reply.done(error)
  }
}
