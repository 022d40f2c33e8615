/**
 * Services through `rclnodejs`, which takes requests and responses as objects alone: here they become CDR, and back.
 * What ROS 2's own code calls may not throw: that would end the process.
 */
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { Codec } from './codec'
import type { Definition } from './definitions'
import { SampleQueue } from './queue'
import { attempt, type Fields, failed, type RclClient, type RclNode, type RclWay, soon, typeOf } from './rcl'
import type { Answerer, Asked, Caller, Reply, WantedService } from './transport'

/** What both ends need of their context. */
export interface Home {
  node: RclNode
  /** How the ends are made. */
  options: object
  /** It is closed, and nothing of it may be touched any more. */
  isOver(): boolean
  /** The time of arrival. */
  now(): bigint
}

export function openCaller({ node, options, isOver }: Home, wanted: WantedService, onReady: () => void): Caller {
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
      const fields = request.decode(cdr)
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

export function openAnswerer(home: Home, wanted: WantedService, onReady: () => void): Answerer {
  const { node, options, isOver, now } = home
  const { request, response, type } = halvesOf(wanted)
  const queue = new SampleQueue<Asked>()
  // Requests that nobody answers go with their ids.
  const ways = new WeakMap<Buffer, RclWay>()
  const wake = soon(onReady)
  const hear = (fields: Fields, way: RclWay) => {
    const asked: Asked = { id: Buffer.alloc(0), cdr: Buffer.alloc(0), receivedNs: now() }
    ways.set(asked.id, way)
    try {
      asked.cdr = request.encode(fields)
    } catch (error) {
      asked.error = toEngineError(error)
    }
    if (queue.push(asked)) wake()
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
      const fields = response.decode(cdr)
      attempt('answering', () => way.send(fields))
      return true
    },
    // Who asks through ROS 2 can be answered through it.
    deaf: () => 0,
    counts: () => queue.counts(),
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
  if (ACTION.test(type)) {
    const problem = `rclnodejs has no services of actions apart from the action, which ${service} is part of`
    throw new EngineError('UNAVAILABLE', `${problem}; choose the native transport`)
  }
  for (const { definitions: fields } of [...request, ...response]) {
    const wide = fields.find((field) => field.type === 'wstring')
    if (!wide) continue
    const problem = `field ${wide.name} of ${quote(type)} is a wide text, which rclnodejs cannot carry`
    throw new EngineError('INVALID_OPTION', `${problem}; choose the native transport`)
  }
  return {
    type: typeOf(service, type, 'srv'),
    request: halfOf(type, request),
    response: halfOf(type, response),
  }
}

const ACTION = /^[^/]+\/action\//

interface Half {
  decode(cdr: Buffer): Fields
  encode(message: Fields): Buffer
}

/** One half of a service, between CDR and the objects of `rclnodejs`. */
function halfOf(type: string, definitions: readonly Definition[]): Half {
  const codec = new Codec(type, definitions)
  const byName = new Map(definitions.map(({ name, definitions: fields }) => [name ?? '', fields]))
  const toOurs = (name: string, message: Fields): Fields => {
    const types = new Map(byName.get(name)?.map((field) => [field.name, field]))
    const changed = Object.entries(message).map(([key, value]) => {
      const field = types.get(key)
      // A single char has a sign there, as it has not in ROS 2, nor here.
      if (field?.type === 'uint8' && typeof value === 'number' && value < 0) return [key, value + 256]
      // Of large numbers it makes text, of 2^53 a number that may be another one's, too.
      if (Array.isArray(value) && /^u?int64$/.test(field?.type ?? '')) return [key, value.map(BigInt)]
      if (!field?.isComplex) return [key, value]
      const inner = (one: unknown) => toOurs(field.type, one as Fields)
      return [key, Array.isArray(value) ? value.map(inner) : inner(value)]
    })
    return Object.fromEntries(changed)
  }
  return {
    decode: (cdr) => toTheirs(codec.decode(cdr)) as Fields,
    encode: (message) => codec.encode(toOurs('', message)),
  }
}

/** Of bytes it sends all of the memory that they are a view of: they get memory of their own. */
function toTheirs(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(toTheirs)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toTheirs(field)]))
}
