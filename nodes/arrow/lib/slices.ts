/** Rows are packed in slices, between which others have the JavaScript thread. */
import type { Packed, Packer } from './packer'

/** The thread is not held for much longer: long texts are encoded behind it, and memory is cleaned up within. */
const SLICE_MS = 1.5
/** A slice ends with the row that brings it to so many bytes: all its texts are one, which JavaScript bounds. */
const SLICE_BYTES = 2 << 20
/** So many rows are packed between two looks at the clock. */
const LOOK_EVERY = 64

export interface Slice {
  /** The place of its first row. */
  first: number
  packed: Packed
}

/** `as`: how the packer takes a row. */
export async function* slices(
  packer: Packer,
  rows: readonly unknown[],
  as: 'row' | 'object',
  end = rows.length,
): AsyncGenerator<Slice> {
  for (let row = 0; row < end; ) {
    if (row > 0) await turn()
    packer.reset()
    const first = row
    const until = performance.now() + SLICE_MS
    while (row < end && packer.size < SLICE_BYTES) {
      const next = Math.min(row + LOOK_EVERY, end)
      for (; row < next && packer.size < SLICE_BYTES; row += 1) packer[as](rows[row])
      if (performance.now() >= until) break
    }
    const packed = packer.finish((again) => {
      for (let place = first; place < row; place += 1) again[as](rows[place])
    })
    yield { first, packed }
  }
}

/** Lets others have the JavaScript thread. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
