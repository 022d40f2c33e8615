import { randomFillSync } from 'node:crypto'

const POOL = 8192
const RANDOM = 10
const pool = Buffer.alloc(POOL)
let used = POOL

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const two = (at: number) => hex[pool[at] as number] as string

/** A UUID of version 7. Random numbers come from a pool, as a call for each costs more than all the rest. */
export function newId(): string {
  if (used + RANDOM > POOL) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += RANDOM
  const time = Date.now().toString(16).padStart(12, '0')
  const variant = hex[0x80 | ((pool[at + 2] as number) & 0x3f)]
  const version = `7${two(at).slice(1)}${two(at + 1)}`
  const node = two(at + 4) + two(at + 5) + two(at + 6) + two(at + 7) + two(at + 8) + two(at + 9)
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}${two(at + 3)}-${node}`
}
