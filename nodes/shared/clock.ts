/**
 * The time of arrival: the wall clock, but it never stands still or goes back, so that two messages on
 * one topic never have the same.
 */
export function arrivalClock(): () => bigint {
  const offset = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()
  let last = 0n
  return () => {
    const now = process.hrtime.bigint() + offset
    last = now > last ? now : last + 1n
    return last
  }
}
