/** Long texts on their way to the engine. */

const SIZE = 2 << 20
const KEPT = 2
const free: Buffer[] = []
const encoder = new TextEncoder()

/** Calls with a text as UTF-8, in memory that is warm: fresh memory costs more than all the rest. It belongs to the call until that ends. */
export async function withBytes<Result>(text: string, call: (bytes: Buffer) => Promise<Result>): Promise<Result> {
  // A character becomes three bytes at most.
  if (text.length * 3 > SIZE) return call(Buffer.from(text))
  const room = free.pop() ?? Buffer.allocUnsafeSlow(SIZE)
  const { written } = encoder.encodeInto(text, room)
  const result = await call(room.subarray(0, written))
  // Not after a failure: the engine may still look at it.
  if (free.length < KEPT) free.push(room)
  return result
}
