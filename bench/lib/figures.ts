/** What benchmarks measure, and how they sum it up. */
import { performance } from 'node:perf_hooks'

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** Watches how long the event loop is held at a stretch, in ms; the answer ends it, and has the longest. */
export function watchThread(): () => number {
  let longest = 0
  let running = true
  let last = performance.now()
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(look)
  }
  setImmediate(look)
  return () => {
    running = false
    look()
    return longest
  }
}
