/** What a flow gets of a message, from a topic or a recording: the payload in the form that was chosen, and its stamp. */
import { EngineError } from '../shared/errors'
import { headerPlace } from './header'
import { Codec, type Context, type Step, stampOf, stampSteps } from './lib'
import type { Definition } from './lib/definitions'

export type Output = 'object' | 'lazy' | 'raw' | 'header'

/** A message as it came. */
export interface Incoming {
  cdr: Buffer
  /** Decoded when it is first asked for. */
  readonly message: Record<string, unknown>
}

export const HEADER = 'std_msgs/msg/Header'

/** Messages of one type. */
export class Payloads {
  /** The way to the header's stamp, or another one of the message. */
  readonly stamp: Step[] | null
  readonly hasHeader: boolean
  private readonly headers: Codec | undefined

  /** Without definitions only what is raw, or no CDR, has a payload. `headers` decodes a `std_msgs/msg/Header`. */
  constructor(
    private readonly output: Output,
    definitions: readonly Definition[] | null,
    headers: () => Codec,
  ) {
    this.stamp = definitions && stampSteps(definitions)
    const place = definitions ? headerPlace(definitions) : 'none'
    this.hasHeader = place !== 'none'
    // At the beginning of a message it can be read without the rest.
    if (output === 'header' && place === 'first') this.headers = headers()
  }

  /** Puts the payload into `target`; a lazy one is decoded when it is first asked for, and then may `complain`. */
  put(target: Record<string, unknown>, name: string, incoming: Incoming, complain: (error: unknown) => void): void {
    if (this.output === 'lazy') later(target, name, incoming, complain)
    // A topic may have any name that an object has, too.
    else define(target, name, { value: this.of(incoming), writable: true })
  }

  /** For `msg.ros2`: empty where there is no stamp. */
  stampNs({ cdr }: Incoming): { stampNs?: string } {
    const stamp = this.stamp && stampOf(cdr, this.stamp)
    return stamp == null ? {} : { stampNs: String(stamp) }
  }

  private of(incoming: Incoming): unknown {
    switch (this.output) {
      case 'raw':
        return incoming.cdr
      case 'header':
        return this.headers ? this.headers.decode(incoming.cdr) : (incoming.message.header ?? null)
      default:
        return incoming.message
    }
  }
}

/**
 * For a type of a context. Fails with `UNKNOWN_TYPE`, but for what is to stay raw, and where there is no header to
 * give.
 */
export function payloadsOf(context: Context, type: string, output: Output, noHeader: () => string): Payloads {
  const headers = () => new Codec(HEADER, context.definitions.resolve(HEADER))
  const payloads = new Payloads(output, definitionsOf(context, type, output), headers)
  if (output === 'header' && !payloads.hasHeader) throw new EngineError('INVALID_OPTION', noHeader())
  return payloads
}

function definitionsOf(context: Context, type: string, output: Output) {
  try {
    return context.definitions.resolve(type)
  } catch (error) {
    if (output === 'raw' && (error as EngineError).code === 'UNKNOWN_TYPE') return null
    throw error
  }
}

function define(target: object, name: string, property: PropertyDescriptor): void {
  Object.defineProperty(target, name, { enumerable: true, configurable: true, ...property })
}

/** A copy of the message has it decoded. */
function later(
  target: Record<string, unknown>,
  name: string,
  incoming: Incoming,
  complain: (error: unknown) => void,
): void {
  const settle = (value: unknown) => {
    define(target, name, { value, writable: true })
    return value
  }
  const get = () => {
    try {
      return settle(incoming.message)
    } catch (error) {
      complain(error)
      return settle(undefined)
    }
  }
  define(target, name, { get, set: settle })
}
