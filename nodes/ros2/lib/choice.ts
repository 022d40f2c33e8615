/** Which transport carries a context. */
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { openNative } from './native'
import { openRclnodejs } from './rclnodejs'
import type { JoinOptions, Transport, TransportName } from './transport'
import { reasons, type WhyNot, whyNotRclnodejs } from './usable'

export const transports = ['automatic', 'native', 'rclnodejs'] as const

/** `automatic`: `rclnodejs` where a ROS 2 is sourced and the package is truly built, else `native`. */
export type TransportChoice = (typeof transports)[number]

/** The transport in use, and why another one that was looked at is not. */
export interface TransportInUse {
  name: TransportName
  whyNot?: { rclnodejs: WhyNot }
}

interface Chosen {
  transport: Transport
  inUse: TransportInUse
}

export async function openTransport(
  choice: TransportChoice,
  options: JoinOptions,
  onGraph: () => void,
): Promise<Chosen> {
  if (!transports.includes(choice)) {
    throw new EngineError('INVALID_OPTION', `the transport is ${quote(choice)}; use ${transports.join(', ')}`)
  }
  if (choice === 'native') return { transport: await openNative(options, onGraph), inUse: { name: 'native' } }
  const whyNot = whyNotRclnodejs(options)
  if (!whyNot) return { transport: await openRclnodejs(options, onGraph), inUse: { name: 'rclnodejs' } }
  if (choice === 'rclnodejs') throw new EngineError('UNAVAILABLE', reasons[whyNot])
  try {
    const transport = await openNative(options, onGraph)
    return { transport, inUse: { name: 'native', whyNot: { rclnodejs: whyNot } } }
  } catch (cause) {
    const error = toEngineError(cause)
    if (error.code !== 'UNAVAILABLE' && error.code !== 'NATIVE_MISSING') throw error
    throw new EngineError(error.code, `${error.message}. Nor is there another transport: ${reasons[whyNot]}`, { cause })
  }
}
