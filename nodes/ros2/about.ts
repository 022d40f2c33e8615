/** What `msg.ros2` says of a message that came over a topic. */
import type { Received } from './lib'
import type { Payloads } from './payload'

export function aboutOf(type: string, received: Received, payloads: Payloads): Record<string, unknown> {
  const { receivedNs, publisher, sequence } = received
  return {
    type,
    ...payloads.stampNs(received),
    receivedNs: String(receivedNs),
    ...(publisher !== undefined && { publisher }),
    ...(sequence !== undefined && { sequence }),
  }
}
