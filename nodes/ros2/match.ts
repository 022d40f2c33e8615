/** Whether the two ends of a topic find each other. */
import type { GraphEndpoint, Qos } from './lib'

/** What of the quality can keep the ends of a topic apart. */
export const policies = ['reliability', 'durability', 'deadline', 'liveliness'] as const

/** What keeps the ends of a topic apart: also keys of the catalogue. */
export type Mismatch = 'type' | (typeof policies)[number]

/** Why a subscription that wants one quality gets nothing from a publisher that offers the other. */
export function refusal(wanted: Required<Qos>, offered: Required<Qos>): Mismatch | null {
  if (wanted.reliability === 'reliable' && offered.reliability === 'best-effort') return 'reliability'
  if (wanted.durability === 'transient-local' && offered.durability === 'volatile') return 'durability'
  if (isLonger(offered.deadlineMs, wanted.deadlineMs)) return 'deadline'
  const isManual = wanted.liveliness === 'manual-by-topic' && offered.liveliness === 'automatic'
  return isManual || isLonger(offered.leaseMs, wanted.leaseMs) ? 'liveliness' : null
}

/** The first of the others on a topic that our end does not get on with. */
export function firstMismatch(
  others: readonly GraphEndpoint[],
  type: string,
  refuses: (other: Required<Qos>) => Mismatch | null,
): { other: GraphEndpoint; reason: Mismatch } | null {
  for (const other of others) {
    const reason = other.type === type ? refuses(other.qos) : 'type'
    if (reason) return { other, reason }
  }
  return null
}

/** No time means: without end. */
function isLonger(offered: number | null, wanted: number | null): boolean {
  return wanted !== null && (offered ?? Number.POSITIVE_INFINITY) > wanted
}
