/** How much of a history is asked for; undefined: all. */
export function limitOf(asked: unknown): number | undefined {
  const { limit } = (asked ?? {}) as { limit?: unknown }
  const number = Number(limit ?? Number.NaN)
  return number >= 0 ? Math.floor(number) : undefined
}
