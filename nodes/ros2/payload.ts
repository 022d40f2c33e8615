/** What a flow gets of a received message: the payload in the form that was chosen, and what is known about it. */
import { EngineError } from '../shared/errors'
import { headerPlace } from './header'
import { Codec, type Context, type Received, type Step, stampOf, stampSteps } from './lib'

export type Output = 'object' | 'lazy' | 'raw' | 'header'
export type About = { type: string; stampNs?: string; receivedNs: string; publisher: string }

const HEADER = 'std_msgs/msg/Header'

export class Payloads {
  private readonly stamp: Step[] | null
  private readonly headers: Codec | undefined

  /** Fails with `UNKNOWN_TYPE`, but for what is to stay raw, and where there is no header to give. */
  constructor(
    context: Context,
    private readonly type: string,
    private readonly output: Output,
    noHeader: () => string,
  ) {
    const definitions = definitionsOf(context, type, output)
    this.stamp = definitions && stampSteps(definitions)
    if (output !== 'header' || !definitions) return
    const place = headerPlace(definitions)
    if (place === 'none') throw new EngineError('INVALID_OPTION', noHeader())
    // At the beginning of a message it can be read without the rest.
    if (place === 'first') this.headers = new Codec(HEADER, context.definitions.resolve(HEADER))
  }

  /** Puts the payload into `target`; a lazy one is decoded when it is first asked for, and then may `complain`. */
  put(target: Record<string, unknown>, name: string, received: Received, complain: (error: unknown) => void): void {
    if (this.output === 'lazy') later(target, name, received, complain)
    // A topic may have any name that an object has, too.
    else define(target, name, { value: this.of(received), writable: true })
  }

  about(received: Received): About {
    const stamp = this.stamp && stampOf(received.cdr, this.stamp)
    return {
      type: this.type,
      ...(stamp != null && { stampNs: String(stamp) }),
      receivedNs: String(received.receivedNs),
      publisher: received.publisher,
    }
  }

  private of(received: Received): unknown {
    switch (this.output) {
      case 'raw':
        return received.cdr
      case 'header':
        return this.headers ? this.headers.decode(received.cdr) : received.message.header
      default:
        return received.message
    }
  }
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
  received: Received,
  complain: (error: unknown) => void,
): void {
  const settle = (value: unknown) => {
    define(target, name, { value, writable: true })
    return value
  }
  const get = () => {
    try {
      return settle(received.message)
    } catch (error) {
      complain(error)
      return settle(undefined)
    }
  }
  define(target, name, { get, set: settle })
}
