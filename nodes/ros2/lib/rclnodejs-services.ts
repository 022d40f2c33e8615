/**
 * Services through `rclnodejs`, which takes requests and responses as objects alone: here they become CDR, and back.
 * What ROS 2's own code calls may not throw: that would end the process.
 */
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { Codec } from './codec'
import { SampleQueue } from './queue'
import { attempt, type Fields, failed, type RclClient, type RclNode, type RclWay, soon, typeOf } from './rcl'
import type { Answerer, Asked, Caller, Reply, WantedService } from './transport'

/** `isOver`: the context is closed, and nothing of it may be touched any more. */
export function openCaller(
  node: RclNode,
  wanted: WantedService,
  options: object,
  isOver: () => boolean,
  onReady: () => void,
): Caller {
  const { request, response, type } = halvesOf(wanted)
  const waiting = new Map<number, AbortController>()
  let replies: Reply[] = []
  let calls = 0
  let client: RclClient | undefined = attempt('opening a client', () =>
    node.createClient(type, wanted.service, options),
  )
  const wake = soon(onReady)
  const end = (): RclClient => {
    if (!client || isOver()) throw new EngineError('CLOSED', 'the client is closed; open it again')
    return client
  }
  const settle = (call: number, reply: () => Reply) => {
    // A call that is not waited for ends by being given up.
    if (!waiting.delete(call)) return
    try {
      replies.push(reply())
    } catch (error) {
      replies.push({ call, error: toEngineError(error) })
    }
    wake()
  }
  return {
    call(cdr) {
      const target = end()
      const fields = foreign(request.decode(cdr)) as Fields
      calls += 1
      const [call, control] = [calls, new AbortController()]
      waiting.set(call, control)
      target.sendRequestAsync(fields, { signal: control.signal }).then(
        (answer) => settle(call, () => ({ call, cdr: response.encode(answer) })),
        (cause) => settle(call, () => ({ call, error: failed('calling', cause) })),
      )
      return call
    },
    // ROS 2 tells only whether there is one.
    servers: () => (attempt('looking for the server', () => end().isServiceServerAvailable()) ? 1 : 0),
    take(limit) {
      const taken = replies.splice(0, limit)
      return { replies: taken, more: replies.length > 0 }
    },
    forget(call) {
      const control = waiting.get(call)
      waiting.delete(call)
      control?.abort()
    },
    async close() {
      const ended = client
      client = undefined
      replies = []
      for (const [call, control] of [...waiting]) {
        waiting.delete(call)
        control.abort()
      }
      if (ended && !isOver()) attempt('closing', () => node.destroyClient(ended))
    },
  }
}

/** `now` gives the time of arrival. */
export function openAnswerer(
  node: RclNode,
  wanted: WantedService,
  options: object,
  isOver: () => boolean,
  onReady: () => void,
  now: () => bigint,
): Answerer {
  const { request, response, type } = halvesOf(wanted)
  const queue = new SampleQueue<Asked>()
  // Requests that nobody answers go with their ids.
  const ways = new WeakMap<Buffer, RclWay>()
  const wake = soon(onReady)
  let broken = 0
  const hear = (fields: Fields, way: RclWay) => {
    try {
      const asked = { id: Buffer.alloc(0), cdr: request.encode(fields), receivedNs: now() }
      ways.set(asked.id, way)
      if (queue.push(asked)) wake()
    } catch {
      // Where its definition is not ours.
      broken += 1
    }
  }
  let service: object | undefined = attempt('offering a service', () =>
    node.createService(type, wanted.service, options, hear),
  )
  return {
    take(limit) {
      const { samples: requests, more } = queue.take(limit)
      return { requests, more }
    },
    reply(id, cdr) {
      if (!service || isOver()) throw new EngineError('CLOSED', 'the service is closed; open it again')
      const way = ways.get(id)
      if (!way) return false
      const fields = foreign(response.decode(cdr)) as Fields
      attempt('answering', () => way.send(fields))
      return true
    },
    // Who asks through ROS 2 can be answered through it.
    deaf: () => 0,
    counts() {
      const { received, dropped } = queue.counts()
      return { received: received + broken, dropped: dropped + broken }
    },
    async close() {
      const ended = service
      service = undefined
      queue.clear()
      if (ended && !isOver()) attempt('closing', () => node.destroyService(ended))
    },
  }
}

function halvesOf({ service, type, definitions }: WantedService) {
  const { request, response } = definitions
  for (const { definitions: fields } of [...request, ...response]) {
    const wide = fields.find((field) => field.type === 'wstring')
    if (!wide) continue
    const problem = `field ${wide.name} of ${quote(type)} is a wide text, which rclnodejs cannot carry`
    throw new EngineError('INVALID_OPTION', `${problem}; choose the native transport`)
  }
  return {
    type: typeOf(service, type, 'srv'),
    request: new Codec(type, request),
    response: new Codec(type, response),
  }
}

/** Of bytes it sends all of the memory that they are a view of: they get memory of their own. */
function foreign(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(foreign)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, foreign(field)]))
}
