/** What a message from a topic, or from a recording, looks like in a flow. */
import { type HeaderPlace, stampAt } from './header'
import type { Codec } from './lib'

type Payload = Record<string, unknown>

export type Output = 'object' | 'lazy' | 'raw' | 'header'

/** A message as it came. */
export interface Incoming {
  cdr: Buffer
  /** Decoded when it is first asked for. */
  readonly message: Record<string, unknown>
}

/** How messages of one type are given. */
export interface Shape {
  output: Output
  header: HeaderPlace
  /** Of `std_msgs/msg/Header`. */
  headers: Codec
}

/**
 * The message for the flow; `about` becomes its `ros2`, with the header's stamp. Where it is decoded later, `complain`
 * hears of what cannot be.
 */
export function messageOf(
  topic: string,
  incoming: Incoming,
  shape: Shape,
  about: Payload,
  complain: (error: unknown) => void,
): Payload {
  const message: Payload = { topic, payload: undefined, ros2: withStamp(about, incoming, shape) }
  if (shape.output === 'lazy') later(message, incoming, complain)
  else message.payload = payloadOf(incoming, shape)
  return message
}

function payloadOf(incoming: Incoming, { output, header, headers }: Shape): unknown {
  if (output === 'raw') return incoming.cdr
  if (output !== 'header') return incoming.message
  // At the beginning of a message it can be read without the rest.
  return header === 'first' ? headers.decode(incoming.cdr) : (incoming.message.header ?? null)
}

/** The payload is decoded when it is first asked for; a copy of the message has it decoded. */
function later(message: Payload, incoming: Incoming, complain: (error: unknown) => void): void {
  const settle = (value: unknown) => {
    Object.defineProperty(message, 'payload', { value, writable: true, enumerable: true, configurable: true })
    return value
  }
  const get = () => {
    try {
      return settle(incoming.message)
    } catch (error) {
      settle(undefined)
      complain(error)
      return undefined
    }
  }
  Object.defineProperty(message, 'payload', { get, set: settle, enumerable: true, configurable: true })
}

function withStamp(about: Payload, incoming: Incoming, { output, header }: Shape): Payload {
  const isDecoded = output === 'object' || output === 'header'
  if (header === 'first') about.stampNs = stampAt(incoming.cdr)
  else if (header === 'inside' && isDecoded) about.stampNs = stampOf(incoming.message.header)
  return about
}

function stampOf(header: unknown): string {
  const { sec, nanosec } = (header as { stamp: { sec: number; nanosec: number } }).stamp
  return String(BigInt(sec) * 1_000_000_000n + BigInt(nanosec))
}
